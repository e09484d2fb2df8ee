// Are the backward functions of this folder right? Each gradient against central differences, in float64, through the plain
// loops of wu::reference. The generator has its own check in the library.
#include <cstdio>

#include "encoder.hpp"
#include "wu/train/gradient_check.hpp"

namespace {

using namespace springs;
using Tokens = Backbone::Tokens;

/// n values between -1 and 1.
wu::Tensor<double, dyn> draw(Index n, const char* name) {
  wu::Tensor<double, dyn> values(n);
  wu::Random random(1, name);
  for (double& v : values.span()) v = random.uniform(-1, 1);
  return values;
}

/// The loss is a random number for each output, times the output, summed.
double dot(const wu::Tensor<double, dyn>& a, const double* b) {
  double sum = 0;
  for (Index k = 0; k < a.size(); ++k) sum += a[k] * b[k];
  return sum;
}

std::string check_backbone() {
  constexpr Index rows = 6, requests = 2;  // two requests of three rows each
  const auto t = draw(rows, "times"), c = draw(rows, "c");
  const std::vector<Index> which{1, 0};
  auto tokens = draw(requests * Tokens::values, "tokens");
  wu::Weights<Backbone, double> weights, gradients;
  Backbone::initialise<double>(weights.view(), 1);
  wu::Tensor<double, dyn> dtokens(tokens.size());
  wu::reference ctx;
  wu::Workspace ws;
  const auto run = [&](bool backward) {
    const wu::Workspace::Scope scope(ws);
    const Backbone::Adapters<double> adapters{{tokens.data(), requests}, which, 0.5};
    const auto y = ws.take<double, dyn, 1>(rows);
    const auto saved = Backbone::forward<double>(ctx, ws, y, {t.data(), rows}, weights.frozen(), adapters);
    if (backward)
      Backbone::backward<double>(ctx, ws, gradients.view(), {dtokens.data(), requests}, {c.data(), rows}, saved,
                                 weights.frozen(), adapters);
    return dot(c, y.data);
  };
  run(true);
  const auto loss = [&] { return run(false); };
  std::string errors = wu::gradient_error(weights, gradients, loss);
  return errors + wu::gradient_error("adapters", tokens.span(), dtokens.span(), loss);
}

std::string check_encoder() {
  constexpr Index requests = 2, length = 3;
  const auto examples = draw(requests * length * 2, "examples"), c = draw(requests * length * Encoder::width, "c");
  wu::Weights<Encoder, double> weights, gradients;
  Encoder::initialise<double>(weights.view(), 1);
  wu::reference ctx;
  wu::Workspace ws;
  const auto run = [&](bool backward) {
    const wu::Workspace::Scope scope(ws);
    const auto features = ws.take<double, dyn, dyn, Encoder::width>(requests, length);
    const auto saved = Encoder::forward<double>(ctx, ws, features, {examples.data(), requests, length}, weights.frozen());
    if (backward)
      Encoder::backward<double>(ctx, ws, gradients.view(), {c.data(), requests, length}, saved, weights.frozen());
    return dot(c, features.data);
  };
  run(true);
  return wu::gradient_error(weights, gradients, [&] { return run(false); });
}

}  // namespace

int main() {
  const std::string errors = check_backbone() + check_encoder();
  if (errors.empty()) std::printf("the gradients of backbone, adapters and encoder are right\n");
  std::printf("%s", errors.c_str());
  return errors.empty() ? 0 : 1;
}
