#include "plan/training/pass_prices.hpp"

#include <algorithm>

#include "net/occupancy.hpp"

namespace moeline {
namespace {

bool is_exchange(std::string_view group) { return std::find(kExchanges.begin(), kExchanges.end(), group) != kExchanges.end(); }

// A collective waits for streams and groups besides its launch: so many ops more.
constexpr std::size_t kTransferIssue = 3;

// Without a CUDA graph the host issues every op. It runs ahead of the device, so that only what the device's time does not
// cover is a gap.
Seconds launch_gap(const Step& step, Seconds device, const Machine& machine) {
  const auto transfers = std::count_if(step.begin(), step.end(), [](const Op& op) { return op.lane == Lane::network; });
  const double issued = static_cast<double>(step.size() + kTransferIssue * static_cast<std::size_t>(transfers));
  return max(Seconds{}, issued * machine.calibration.host.op - device);
}

BreakdownRow contention(std::string_view phase, Seconds time, Source source) {
  return {.name = "contention", .phase = phase, .seconds = time, .exposed = time, .bound_by = "multiprocessors", .source = source, .largest = time};
}

PassTimes times_of(const Step& step, const StepCost& cost) {
  PassTimes times{.time = cost.makespan, .exchange = {}, .network = {}, .weight = {}};
  for (std::size_t i = 0; i < step.size(); ++i) {
    const Seconds exposed = cost.timeline.intervals[i].exposed;
    if (makes_weight_gradient(step[i])) times.weight += exposed;
    if (!is_exchange(step[i].group)) continue;
    times.exchange += exposed;
    times.network += cost.costs[i].time;
  }
  return times;
}

// The ops of a pass, and what the step does to them: gaps between launches, two halves of a micro-batch side by side.
class Pricing {
 public:
  Pricing(const Step& step, const TrainWorkload& train, const Machine& machine, Detail detail, StepCost memory)
      : step_(step), cost_(timed(step, machine, std::move(memory))), host_(machine.calibration.host), detail_(detail), pass_{times_of(step, cost_), {}, detail} {
    if (detail == Detail::rows) rows_ = breakdown_of(step, cost_);
    if (!train.cuda_graph && !step.empty() && !is_free(machine, "launch gaps")) add_gap(launch_gap(step, pass_.times.time, machine));
    const double taken = moeline::taken(train.transport, machine.gpu);
    if (train.overlap.contains(Overlap::two_batch)) {
      split(taken);
    } else if (pass_.times.network > pass_.times.exchange) {  // what hides within the layer
      add_contention(taken * (pass_.times.network - pass_.times.exchange));
    }
  }

  StepCost take_memory() { return std::move(cost_); }
  PricedPass take() {
    pass_.rows = {rows_.rows().begin(), rows_.rows().end()};  // no more memory than they take
    return std::move(pass_);
  }

 private:
  std::string_view phase() const { return name(step_.front().phase); }
  void add(const BreakdownRow& row) {
    pass_.times.time += row.exposed;
    if (detail_ == Detail::rows) rows_.add(row);
  }
  void add_gap(Seconds gap) {
    if (!(gap > Seconds{})) return;
    add({.name = "launch gaps", .phase = phase(), .seconds = gap, .exposed = gap, .bound_by = "host", .source = host_.source,
         .spread = host_.spread, .largest = gap});
  }
  void add_contention(Seconds time) { add(contention(phase(), time, rows_.source())); }

  // Exchanges of one half hide behind compute of the other.
  void split(double taken) {
    const PassTimes half = pass_.times;
    pass_.times = {};
    moeline::add(pass_.times, half, 2);
    if (detail_ == Detail::rows) rows_.add(Breakdown(rows_));
    if (!(half.network > Seconds{})) return;
    const Pair pair = pair_of(half, half, taken);
    if (half.exchange > Seconds{}) {
      const Seconds hidden = 2 * half.exchange - pair.exposed;
      pass_.times.time -= hidden;
      pass_.times.exchange -= hidden;
      rows_.hide(kExchanges, hidden);
    }
    if (pair.contention > Seconds{}) add_contention(pair.contention);
  }

  const Step& step_;
  StepCost cost_;
  const HostFit& host_;
  Detail detail_;
  PricedPass pass_;
  Breakdown rows_;
};

std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15;
  return hash ^ (hash >> 29);
}

bool has_experts(const ModelSpec& model, int part) {
  return part >= 0 && std::holds_alternative<MoeFfn>(model.kinds[static_cast<std::size_t>(part)].ffn);
}

}  // namespace

bool makes_weight_gradient(const Op& op) {
  if (const Gemm* gemm = std::get_if<Gemm>(&op.work)) return gemm->accumulate;
  if (const GroupedGemm* gemm = std::get_if<GroupedGemm>(&op.work)) return gemm->accumulate;
  return op.phase == Phase::backward && op.group == "embedding";
}

PartsKey::PartsKey(const Recipe& asked_recipe, const Routing& asked_routing, const Parallelism& cut, const TrainWorkload& workload)
    : recipe(asked_recipe), routing(asked_routing), parallelism(cut), train(workload) {
  parallelism.pp = parallelism.vpp = parallelism.dp = parallelism.zero = 1;
  parallelism.shard = 0;
  parallelism.requested_dp.reset();
  parallelism.schedule = Schedule::one_f_one_b;
  train.global_batch = 0;
  train.pipeline_layout.clear();
  train.overlap = train.overlap & EnumSet<Overlap>{Overlap::tp, Overlap::shared_expert, Overlap::two_batch, Overlap::delayed_wgrad};
  train.overlap_given = train.transport_given = train.recompute_given = false;
  train.offload_layers = 0;
  train.offload_optimizer = 0;
  train.run.reset();
}

std::size_t PartsHash::operator()(const PartsKey& key) const {
  const Parallelism& p = key.parallelism;
  std::uint64_t hash = key.train.full_recompute ? 1 : 0;
  for (const std::int64_t value : {p.tp, p.cp, p.ep, p.etp, key.train.micro_batch, key.train.sequence}) {
    hash = mixed(hash, static_cast<std::uint64_t>(value));
  }
  for (const Recompute what : key.train.recompute) hash = hash * 31 + static_cast<std::uint64_t>(what);
  return hash;
}

std::size_t PassPrices::PassHash::operator()(const PassKey& key) const {
  return mixed(PartsHash{}(key.asked), static_cast<std::uint64_t>(2 * key.part + (key.forward ? 1 : 0)));
}

std::shared_ptr<const PricedPass> PassPrices::pass(const PartsKey& asked, int part, bool forward, Detail detail) {
  PassKey key{asked, part, forward};
  TrainWorkload& train = key.asked.train;
  if (forward || part < 0) {
    train.full_recompute = false;
    train.recompute = {};
    train.recompute_method = RecomputeMethod::uniform;
    train.recompute_layers = 0;
  }
  if (!has_experts(model_, part)) {
    key.asked.parallelism.ep = key.asked.parallelism.etp = 1;
    key.asked.routing = {};
    train.transport = Transport::nccl;
  }
  const auto found = known_.find(key);
  if (found != known_.end() && found->second->detail >= detail) return found->second;
  auto made = std::make_shared<const PricedPass>(priced(key, detail));
  if (found != known_.end()) return found->second = std::move(made);
  if (known_.size() >= kMost) known_.clear();
  return known_.emplace(std::move(key), std::move(made)).first->second;
}

PricedPass PassPrices::priced(const PassKey& key, Detail detail) {
  const PartsKey& asked = key.asked;
  const double share = asked.train.overlap.contains(Overlap::two_batch) ? 0.5 : 1;
  const DecoderContext context{model_, asked.parallelism, asked.recipe, asked.routing, share * static_cast<double>(asked.train.micro_batch),
                               static_cast<double>(asked.train.sequence), asked.train};
  Step step = ops(key, context);
  Pricing pricing(step, asked.train, machine_, detail, std::move(cost_memory_));
  PricedPass pass = pricing.take();
  cost_memory_ = pricing.take_memory();
  memory_ = std::move(step);
  return pass;
}

Step PassPrices::ops(const PassKey& key, const DecoderContext& c) {
  switch (key.part) {
    case kEmbedding: return key.forward ? embedding_forward(c) : embedding_backward(c);
    case kHead: return key.forward ? head_forward(c) : head_backward(c);
    case kMtp: return key.forward ? mtp_forward(c) : mtp_backward(c);
    default: break;
  }
  const LayerKind& kind = model_.kinds[static_cast<std::size_t>(key.part)];
  return key.forward ? layer_forward(c, kind, std::move(memory_)) : layer_backward(c, kind, std::move(memory_));
}

}  // namespace moeline
