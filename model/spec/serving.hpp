// What is asked of a served model: who sends requests of which lengths, by which software, on which cut of the devices?
//
// A worker is the smallest set of devices that holds the whole model:
//
//   worker = pp stages x width devices        width = tp x dp = ep x etp
//   attention   tp ways, with dp groups of their own requests (data-parallel attention)
//   experts     ep x etp ways over all of the width
// Devices beyond one worker are replicas that share the requests evenly. Disaggregated: workers of their own for prefill
// and for decode, with the cache sent over the fabric between them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "spec/dtype.hpp"
#include "spec/reader.hpp"

namespace moeline {

enum class Stack { trtllm, vllm, sglang };
inline constexpr std::size_t kStacks = 3;
enum class ServeMode { aggregated, disaggregated };
// How rows reach experts of other ranks: `allreduce` leaves every token on every rank and sums outputs; `allgather` does so
// for data-parallel attention (gather, reduce-scatter); the others send rows only where they are wanted.
enum class ExpertTransport { allreduce, allgather, deepep, nvlink };

struct ServeLayout {
  std::int64_t tp = 1, dp = 1, pp = 1, ep = 1, etp = 1;
  std::int64_t width() const { return tp * dp; }
  std::int64_t devices() const { return width() * pp; }
  bool operator==(const ServeLayout&) const = default;
};

// A worker's cut as it was asked for.
struct LayoutRequest {
  std::optional<std::int64_t> tp{}, pp{}, ep{}, etp{}, dp{};
  std::optional<bool> attention_dp{};
  bool operator==(const LayoutRequest&) const = default;
};

// Workers of one kind.
struct Pool {
  std::int64_t workers = 1;
  LayoutRequest asked{};  // of a disaggregated pool; what it leaves out is the scenario's `parallelism`
  ServeLayout layout{};
  std::int64_t devices() const { return workers * layout.devices(); }
  bool operator==(const Pool&) const = default;
};

struct ServeWorkload {
  std::int64_t input = 1024, output = 1024;  // tokens of a request
  double length_ratio = 1;                   // shortest over longest: lengths are drawn evenly from [ratio, 1] of the above
  std::int64_t concurrency = 0;              // requests in flight, over all replicas: a closed loop
  std::optional<double> request_rate{};      // requests per second instead: an open loop
  std::int64_t requests = 0;                 // in all, beginning with a burst of `concurrency`; 0: a loop without beginning
  bool static_batch = false;                 // all requests start together, none follows
  ServeMode mode = ServeMode::aggregated;
  Stack stack = Stack::vllm;
  bool stack_given = false;
  std::optional<DType> kv_cache{};           // absent: as the stack would choose
  std::optional<ExpertTransport> transport{};
  std::int64_t token_budget = 0;             // tokens of one iteration, 0: the stack's default
  std::int64_t max_batch = 0;                // running requests of one worker, 0: no limit but memory
  bool chunked_prefill = true;
  bool two_batch_overlap = false;
  bool cuda_graph = true;
  double prefix_hit_rate = 0;                // share of input tokens found in the cache
  double memory_fraction = 0.9;              // of the device's memory that the stack may fill
  std::int64_t block = 0;                    // tokens of a cache page, 0: the stack's default
  std::optional<Seconds> host_overhead{};    // of one iteration, absent: the stack's default
  bool attention_dp = false;
  Pool prefill{}, decode{};                  // decode: of all work, where aggregated

  bool operator==(const ServeWorkload&) const = default;
};

ServeWorkload read_serve(ObjectReader& reader);
// Takes what the keys tp, pp, ep, etp, dp say of a scenario's `parallelism`, or of a pool; degrees of training must be 1.
LayoutRequest read_layout_request(ObjectReader& reader);

// tp ways of attention; with data-parallel attention tp is the width, unless dp is given too. Experts that ep alone does
// not spread over the width are cut etp ways. `experts`: of a layer, 0 in a dense model.
ServeLayout layout_of(const LayoutRequest& request, std::int64_t experts);

Json to_json(const ServeLayout& layout);
std::string_view name(Stack stack);
std::string_view name(ServeMode mode);
std::string_view name(ExpertTransport transport);

}  // namespace moeline
