// The update scale * B A of an adapter, A (rank, in), B (out, rank), without the (out, in) matrix: its norm and singular values are
// those of a (rank, rank) problem.
#pragma once

#include <span>
#include <vector>

#include "wu/core/view.hpp"

namespace inspect {

struct Update {
  double norm = 0;             ///< Frobenius
  double effective_rank = 0;   ///< 0 for an update that is zero
  std::vector<double> values;  ///< the singular values, largest first; those below 1e-8 of the largest are rounding
};

/// With the Gram matrices A A^T = V diag(d) V^T and G = B^T B, the squared singular values of B A are the eigenvalues of
/// diag(sqrt d) V^T G V diag(sqrt d), for they are those of A^T G A. In float64.
/// Effective rank: exp(-sum p log p), p = singular values / their sum.          Roy and Vetterli 2007, EUSIPCO, definition 1
/// A and B must be finite; where a product overflows, the results are not.
Update update_of(std::span<const double> A, std::span<const double> B, wu::Index rank, double scale);

}  // namespace inspect
