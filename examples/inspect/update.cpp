#include "inspect/update.hpp"

#include <algorithm>
#include <cmath>

#include <Eigen/Core>
#include <Eigen/Eigenvalues>

namespace inspect {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// By a power of two, so that squares of very large or small values stay in range; the exponent comes back.
int normalise(Matrix& matrix) {
  const double largest = matrix.size() == 0 ? 0 : matrix.cwiseAbs().maxCoeff();
  if (largest == 0) return 0;
  const int exponent = std::clamp(std::ilogb(largest), -1000, 1000);
  matrix *= std::ldexp(1., -exponent);
  return exponent;
}

}  // namespace

Update update_of(std::span<const double> A, std::span<const double> B, wu::Index rank, double scale) {
  Matrix a = Eigen::Map<const Matrix>(A.data(), rank, static_cast<wu::Index>(A.size()) / rank);
  Matrix b = Eigen::Map<const Matrix>(B.data(), static_cast<wu::Index>(B.size()) / rank, rank);
  const int exponent = normalise(a) + normalise(b);

  const Eigen::SelfAdjointEigenSolver<Matrix> gram_a(a * a.transpose());
  const Matrix root = gram_a.eigenvectors() * gram_a.eigenvalues().cwiseMax(0.).cwiseSqrt().asDiagonal();
  const Matrix b_root = b * root;
  const Eigen::SelfAdjointEigenSolver<Matrix> product(b_root.transpose() * b_root, Eigen::EigenvaluesOnly);

  Update update;
  double sum = 0, squares = 0;
  for (wu::Index k = rank; k-- > 0;) {  // Eigen has the smallest first
    const double squared = std::max(product.eigenvalues()[k], 0.);
    squares += squared;
    sum += std::sqrt(squared);
    update.values.push_back(std::ldexp(std::abs(scale) * std::sqrt(squared), exponent));
  }
  update.norm = std::ldexp(std::abs(scale) * std::sqrt(squares), exponent);
  if (sum == 0 || scale == 0) return update;
  double entropy = 0;
  for (wu::Index k = 0; k < rank; ++k) {
    const double p = std::sqrt(std::max(product.eigenvalues()[k], 0.)) / sum;
    if (p > 0) entropy -= p * std::log(p);
  }
  update.effective_rank = std::exp(entropy);
  return update;
}

}  // namespace inspect
