// libcuda.so.1 for a machine without a GPU, as far as cuDNN needs it to finish a plan: it takes every library of kernels, and runs none.
namespace {
constexpr int success = 0, not_there = 100;
int library, kernel;
}  // namespace

#define WU_FUNCTION(name, ...) extern "C" [[gnu::visibility("default")]] int name(__VA_ARGS__)
WU_FUNCTION(cuLibraryLoadData, void** made) { return *made = &library, success; }
WU_FUNCTION(cuLibraryGetKernel, void** made) { return *made = &kernel, success; }
WU_FUNCTION(cuLibraryUnload, void*) { return success; }

// cuDNN looks for these too, and calls none before a plan runs.
#define WU_NOT_THERE(name) \
  WU_FUNCTION(name) { return not_there; }
WU_NOT_THERE(cuInit)
WU_NOT_THERE(cuDriverGetVersion)
WU_NOT_THERE(cuGetErrorName)
WU_NOT_THERE(cuGetErrorString)
WU_NOT_THERE(cuGetProcAddress)
WU_NOT_THERE(cuGetProcAddress_v2)
WU_NOT_THERE(cuGetExportTable)
WU_NOT_THERE(cuDeviceGet)
WU_NOT_THERE(cuDeviceGetAttribute)
WU_NOT_THERE(cuDeviceGetCount)
WU_NOT_THERE(cuDevicePrimaryCtxRelease)
WU_NOT_THERE(cuDevicePrimaryCtxReset)
WU_NOT_THERE(cuDevicePrimaryCtxRetain)
WU_NOT_THERE(cuCtxGetCurrent)
WU_NOT_THERE(cuCtxGetDevice)
WU_NOT_THERE(cuCtxGetLimit)
WU_NOT_THERE(cuCtxPopCurrent)
WU_NOT_THERE(cuCtxPushCurrent)
WU_NOT_THERE(cuFuncGetAttribute)
WU_NOT_THERE(cuFuncSetAttribute)
WU_NOT_THERE(cuKernelGetAttribute)
WU_NOT_THERE(cuKernelSetAttribute)
WU_NOT_THERE(cuKernelGetFunction)
WU_NOT_THERE(cuLaunchCooperativeKernel)
WU_NOT_THERE(cuLaunchKernel)
WU_NOT_THERE(cuLaunchKernelEx)
WU_NOT_THERE(cuLibraryLoadFromFile)
WU_NOT_THERE(cuLibraryGetModule)
WU_NOT_THERE(cuLinkAddData)
WU_NOT_THERE(cuLinkAddData_v2)
WU_NOT_THERE(cuLinkAddFile_v2)
WU_NOT_THERE(cuLinkComplete)
WU_NOT_THERE(cuLinkCreate)
WU_NOT_THERE(cuLinkCreate_v2)
WU_NOT_THERE(cuLinkDestroy)
WU_NOT_THERE(cuMemcpyDtoH_v2)
WU_NOT_THERE(cuModuleGetFunction)
WU_NOT_THERE(cuModuleGetGlobal_v2)
WU_NOT_THERE(cuModuleLoadData)
WU_NOT_THERE(cuModuleLoadDataEx)
WU_NOT_THERE(cuModuleLoadFatBinary)
WU_NOT_THERE(cuModuleUnload)
WU_NOT_THERE(cuOccupancyMaxActiveBlocksPerMultiprocessor)
WU_NOT_THERE(cuOccupancyMaxPotentialClusterSize)
WU_NOT_THERE(cuStreamGetCtx)
WU_NOT_THERE(cuStreamSynchronize)
WU_NOT_THERE(cuTensorMapEncodeTiled)
