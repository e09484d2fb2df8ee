// Products that the library in use has no algorithm for, one thread for each result, and the bias where it adds none.
#pragma once

#include "wu/cuda/block.hpp"
#include "wu/cuda/product.hpp"

namespace wu::cuda::kernel {

/// Product of operands of T into results of R.
template <class T, class R>
struct PlainProduct {
  Product p;
  WU_BODY explicit PlainProduct(const Product& product) : p(product) {}
  WU_BODY Index count() const { return p.batch * p.m * p.n; }

  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(count(), [&](Index at) {
      const Index j = at % p.n, i = at / p.n % p.m, batch = at / p.n / p.m;
      const T *const a = static_cast<const T*>(p.a) + batch * p.step_a, *const b =
                                                                            static_cast<const T*>(p.b) + batch * p.step_b;
      const Index result = batch * p.step_c + i * p.row_c + j;
      Sum sum = 0;
      for (Index k = 0; k < p.k; ++k)
        sum += static_cast<Sum>(p.transposed_a ? a[k * p.row_a + i] : a[i * p.row_a + k]) *
               static_cast<Sum>(p.transposed_b ? b[j * p.row_b + k] : b[k * p.row_b + j]);
      sum *= static_cast<Sum>(p.alpha);
      R* const c = static_cast<R*>(p.c);
      if (p.beta != 0)
        sum += static_cast<Sum>(p.beta) * static_cast<Sum>((p.added ? static_cast<const R*>(p.added) : c)[result]);
      if (p.bias) sum += static_cast<Sum>(static_cast<const R*>(p.bias)[j]);
      c[result] = static_cast<R>(sum);
    });
  }
};

/// c += bias in every row of a product.
template <class R>
struct AddBias {
  Product p;
  WU_BODY explicit AddBias(const Product& product) : p(product) {}
  WU_BODY Index count() const { return p.batch * p.m * p.n; }

  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<R>;
    block.share_out(count(), [&](Index at) {
      R& c = static_cast<R*>(p.c)[at / p.n / p.m * p.step_c + at / p.n % p.m * p.row_c + at % p.n];
      c = static_cast<R>(static_cast<Sum>(c) + static_cast<Sum>(static_cast<const R*>(p.bias)[at % p.n]));
    });
  }
};

}  // namespace wu::cuda::kernel
