// How does the router spread tokens, and what balances it? The scenario's choice; routing/load turns it into loads.
//
//   popularity   balanced        equal loads
//                uniform         independent choices, every expert alike
//                power_law       popularity of every expert drawn from x^-alpha on [1, spread]
//                zipf            i^-alpha of the i-th, experts in random order
//                dirichlet       shares from a symmetric Dirichlet distribution of concentration alpha
//                overload        the hottest rank's rows over the mean, measured: alpha
//                file            shares of every expert, one row per layer, or a trace of (layer, expert)
// Shapes of DeepSeek-R1 and Qwen3-235B: power laws of 1.01 and 1.2 (NVIDIA aiconfigurator, POWER_LAW_DISTRIBUTION.md);
// its spread is not published: 100 and 1000 bracket what TensorRT-LLM saw without replication (2.564 on 32 ranks).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "spec/reader.hpp"

namespace moeline {

enum class Popularity { balanced, uniform, power_law, zipf, dirichlet, overload, file };
enum class Balancer { none, aux_loss, loss_free, quantile, capacity, eplb, dynamic };

// Shares of the experts in one layer, row by row: draws of a distribution, or what a file says of every layer.
struct ExpertShares {
  std::size_t experts = 0;
  std::vector<double> values{};  // every row sums to 1
  std::size_t rows() const { return values.size() / experts; }
  std::vector<double> row(std::size_t i) const {
    const auto first = values.begin() + static_cast<std::ptrdiff_t>(i * experts);
    return {first, first + static_cast<std::ptrdiff_t>(experts)};
  }
  bool operator==(const ExpertShares&) const = default;
};

// Shared, not copied; equal when what is shared is.
struct SharedShares {
  std::shared_ptr<const ExpertShares> shares{};
  bool operator==(const SharedShares& other) const {
    return shares == other.shares || (shares && other.shares && *shares == *other.shares);
  }
};

struct Routing {
  Popularity popularity = Popularity::balanced;
  double alpha = 0;
  double spread = 100;  // most over least popular, of a power law
  Balancer balancer = Balancer::none;
  double max_violation = 0;    // what aux_loss and loss_free leave
  double capacity_factor = 1;  // rows kept of every expert, over the mean
  std::int64_t redundant = 0;  // expert slots beyond one each, of EPLB
  SharedShares drawn{};        // of power_law, zipf, dirichlet and file
  bool operator==(const Routing&) const = default;
};

std::string_view name(Popularity popularity);
std::string_view name(Balancer balancer);

// {"popularity": ..., "alpha": ..., "balancer": ...} for a model with so many experts; 0: a dense one.
Routing read_routing(ObjectReader reader, std::int64_t experts);
Json to_json(const Routing& routing, const Json& given);
// "power-law:1.2", "file:loads.csv": what --routing takes.
Json parse_routing_text(const std::string& text, const std::string& where);

}  // namespace moeline
