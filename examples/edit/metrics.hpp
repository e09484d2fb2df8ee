// How close an edited picture comes to the wanted one.
#pragma once

#include "edit/image.hpp"

namespace edit {

/// Peak signal-to-noise ratio in dB, -10 log10(mean((a - b)^2)) over all pixels and channels of [0, 1] values; at most 99,
/// which is also what two equal pictures get. Throws wu::ShapeError when the sizes differ, wu::NonFiniteError for NaN.
double psnr(const Image& a, const Image& b);

/// Structural similarity, 1 for equal pictures: the mean, over all positions where the window fits, of
///   (2 ma mb + C1) (2 sab + C2) / ((ma^2 + mb^2 + C1) (sa^2 + sb^2 + C2)),   C1 = 0.01^2, C2 = 0.03^2
/// with means, variances and covariance of the luma under an 11 x 11 Gaussian window of sigma 1.5 (Wang, Bovik, Sheikh and
/// Simoncelli 2004, equation 13 and section III.C). Along a side shorter than 11 pixels the window is as long as the side,
/// and its sigma shrinks with it. Throws as psnr does.
double ssim(const Image& a, const Image& b);

}  // namespace edit
