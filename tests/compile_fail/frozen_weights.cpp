// expected: (assignment of read-only location|cannot assign to return value)
// mistake: Frozen weights are assigned to.
#include "wu/core/parameters.hpp"
#include "wu/nn/linear.hpp"

#ifdef WU_CORRECTED
void change(wu::Weights<wu::Linear<3, 5>, float>& weights) { weights.view().bias[0] = 1; }
#else
void change(const wu::Weights<wu::Linear<3, 5>, float>& weights) { weights.view().bias[0] = 1; }
#endif
