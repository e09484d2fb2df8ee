// The version of the library. It is written here and nowhere else: CMakeLists.txt reads these three lines.
#pragma once

#define WU_VERSION_MAJOR 0
#define WU_VERSION_MINOR 1
#define WU_VERSION_PATCH 0

namespace wu {

///@{
/// The version's three numbers; version_text has all of them.
inline constexpr int version_major = WU_VERSION_MAJOR;
inline constexpr int version_minor = WU_VERSION_MINOR;
inline constexpr int version_patch = WU_VERSION_PATCH;
///@}

#define WU_DETAIL_TEXT_OF(x) #x
#define WU_DETAIL_TEXT(x) WU_DETAIL_TEXT_OF(x)
/// All three, with dots between them.
inline constexpr const char* version_text =
    WU_DETAIL_TEXT(WU_VERSION_MAJOR) "." WU_DETAIL_TEXT(WU_VERSION_MINOR) "." WU_DETAIL_TEXT(WU_VERSION_PATCH);
#undef WU_DETAIL_TEXT
#undef WU_DETAIL_TEXT_OF

}  // namespace wu
