// How uneven is a load?
//
//   MaxVio   max over experts of load / mean - 1      arXiv 2408.15664; TensorRT-LLM's "imbalance ratio"
//   gamma    max over ranks of load / mean            a barrier at combine waits for that rank
//   floor    expected largest of n counts with mean M and variance M (1 - c): independent uniform choices
// The floor of a router that knows nothing is 1 + z_n sqrt((1 - c) / M), z_n the expected largest of n standard
// normals.
#pragma once

#include <cstddef>
#include <vector>

namespace moeline {

double mean_of(const std::vector<double>& loads);
double max_violation(const std::vector<double>& loads);
inline double overload_of(const std::vector<double>& loads) { return 1 + max_violation(loads); }

// Loads of `domains` equal shares of the experts, in order: of ranks, or of nodes.
std::vector<double> summed(const std::vector<double>& expert_loads, std::size_t domains);

// Expected largest of n standard normal numbers, within 0.5 %.
double largest_of_normals(double count);

}  // namespace moeline
