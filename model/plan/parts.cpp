#include "plan/parts.hpp"

#include <algorithm>

#include "net/occupancy.hpp"

namespace moeline {
namespace {

// A collective waits for streams and groups besides its launch: so many ops more.
constexpr std::size_t kTransferIssue = 3;

// Without a CUDA graph the host issues every op. It runs ahead of the device, so that only what the device's time does not
// cover is a gap.
BreakdownRow launch_gap(const Step& step, const Breakdown& passes, const Machine& machine) {
  const HostFit& host = machine.calibration.host;
  const auto transfers = std::count_if(step.begin(), step.end(), [](const Op& op) { return op.lane == Lane::network; });
  const Seconds issue = static_cast<double>(step.size() + kTransferIssue * static_cast<std::size_t>(transfers)) * host.op, gap = issue - passes.exposed();
  return {.name = "launch gaps", .phase = name(step.front().phase), .seconds = gap, .exposed = gap, .bound_by = "host",
          .source = host.source, .spread = host.spread, .largest = gap};
}

BreakdownRow contention(std::string_view phase, Seconds time, Source source) {
  return {.name = "contention", .phase = phase, .seconds = time, .exposed = time, .bound_by = "multiprocessors", .source = source, .largest = time};
}

PassTimes times_of(const Breakdown& rows) {
  PassTimes times{.time = rows.exposed(), .exchange = {}, .network = {}, .weight = {}};
  for (const BreakdownRow& row : rows.rows()) {
    if (std::find(kExchanges.begin(), kExchanges.end(), row.name) == kExchanges.end()) continue;
    times.exchange += row.exposed;
    times.network += row.seconds;
  }
  return times;
}

// Both halves of a micro-batch side by side: exchanges of one hide behind compute of the other.
Breakdown two_halves(const Breakdown& half, std::string_view phase, double taken) {
  const PassTimes times = times_of(half);
  const Pair pair = pair_of(times, times, taken);
  Breakdown both;
  both.add(half, 2);
  both.hide(kExchanges, 2 * times.exchange - pair.exposed);
  if (pair.contention > Seconds{}) both.add(contention(phase, pair.contention, half.source()));
  return both;
}

PricedPass price(const Step& step, const TrainWorkload& train, const Machine& machine) {
  StepCost cost = step_cost(step, machine);
  if (!train.cuda_graph && !step.empty() && !is_free(machine, "launch gaps")) {
    const BreakdownRow gap = launch_gap(step, cost.breakdown, machine);
    if (gap.exposed > Seconds{}) cost.breakdown.add(gap);
  }
  const bool halves = train.overlap.contains(Overlap::two_batch);
  const double taken = moeline::taken(exchange_multiprocessors(train.transport), machine.gpu);
  const PassTimes alone = times_of(cost.breakdown);
  if (alone.network > Seconds{}) {
    const std::string_view phase = name(step.front().phase);
    if (halves) {
      cost.breakdown = two_halves(cost.breakdown, phase, taken);
    } else if (alone.network > alone.exchange) {  // what hides within the layer
      cost.breakdown.add(contention(phase, taken * (alone.network - alone.exchange), cost.breakdown.source()));
    }
  } else if (halves) {
    Breakdown both;
    both.add(cost.breakdown, 2);
    cost.breakdown = std::move(both);
  }
  PricedPass pass{.times = times_of(cost.breakdown), .rows = cost.breakdown.rows()};
  for (std::size_t i = 0; i < step.size(); ++i) {
    if (makes_weight_gradient(step[i])) pass.times.weight += (halves ? 2 : 1) * cost.timeline.intervals[i].exposed;
  }
  return pass;
}

std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15;
  return hash ^ (hash >> 29);
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
  train.overlap_given = train.transport_given = false;
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

bool PassPrices::has_experts(int part) const {
  return part >= 0 && std::holds_alternative<MoeFfn>(model_.kinds[static_cast<std::size_t>(part)].ffn);
}

std::shared_ptr<const PricedPass> PassPrices::pass(const PartsKey& asked, int part, bool forward) {
  PassKey key{asked, part, forward};
  TrainWorkload& train = key.asked.train;
  if (forward || part < 0) {
    train.full_recompute = false;
    train.recompute = {};
    train.recompute_method = RecomputeMethod::uniform;
    train.recompute_layers = 0;
  }
  if (!has_experts(part)) {
    key.asked.parallelism.ep = key.asked.parallelism.etp = 1;
    key.asked.routing = {};
    train.transport = Transport::nccl;
  }
  if (const auto found = known_.find(key); found != known_.end()) return found->second;
  if (known_.size() >= kMost) known_.clear();
  auto made = std::make_shared<const PricedPass>(priced(key));
  return known_.emplace(std::move(key), std::move(made)).first->second;
}

PricedPass PassPrices::priced(const PassKey& key) {
  const PartsKey& asked = key.asked;
  const double share = asked.train.overlap.contains(Overlap::two_batch) ? 0.5 : 1;
  const DecoderContext c{model_, asked.parallelism, asked.recipe, asked.routing, share * static_cast<double>(asked.train.micro_batch),
                         static_cast<double>(asked.train.sequence), asked.train};
  const auto ops = [&] {
    switch (key.part) {
      case embedding: return key.forward ? embedding_forward(c) : embedding_backward(c);
      case head: return key.forward ? head_forward(c) : head_backward(c);
      case mtp: return key.forward ? mtp_forward(c) : mtp_backward(c);
      default: break;
    }
    const LayerKind& kind = model_.kinds[static_cast<std::size_t>(key.part)];
    return key.forward ? layer_forward(c, kind, std::move(memory_)) : layer_backward(c, kind, std::move(memory_));
  };
  Step step = ops();
  PricedPass result = price(step, asked.train, machine_);
  if (key.part >= 0) memory_ = std::move(step);
  return result;
}

StepParts PassPrices::parts(const PartsKey& key) {
  StepParts parts;
  const auto placed = [](std::shared_ptr<const PricedPass> pass, Breakdown& names) {
    PricedPart::Placed made{.pass = std::move(pass), .places = {}};
    made.places.reserve(made.pass->rows.size());
    for (const BreakdownRow& row : made.pass->rows) made.places.push_back(names.place(row));
    return made;
  };
  const auto part = [&](const PartsKey& asked, int number) {
    PricedPart::Placed forward = placed(pass(asked, number, true), parts.forward_names);
    return PricedPart{std::move(forward), placed(pass(asked, number, false), parts.backward_names)};
  };
  const int kinds = static_cast<int>(model_.kinds.size());
  parts.kinds.reserve(model_.kinds.size());
  for (int kind = 0; kind < kinds; ++kind) parts.kinds.push_back(part(key, kind));
  if (key.train.recompute_method == RecomputeMethod::block) {
    PartsKey kept = key;
    kept.train.full_recompute = false;
    for (int kind = 0; kind < kinds; ++kind) parts.plain.push_back(part(kept, kind));
  }
  parts.embedding = part(key, embedding);
  parts.mtp = part(key, mtp);
  parts.head = part(key, head);
  return parts;
}

ChunkSum chunk_sum(const StepParts& parts, const ModelSpec& model, const StageContent& chunk) {
  ChunkSum sum;
  for_parts(parts, model, chunk, [&](const PricedPart& part, double times) {
    add(sum.forward, part.forward.pass->times, times);
    add(sum.backward, part.backward.pass->times, times);
  });
  return sum;
}

Breakdown stage_rows(const StepParts& parts, const ModelSpec& model, const StageContent& stage, bool forward, double times) {
  Breakdown sum = parts.names(forward);
  for_parts(parts, model, stage, [&](const PricedPart& part, double count) {
    const auto& [pass, places] = part.placed(forward);
    for (std::size_t i = 0; i < places.size(); ++i) sum.add_at(places[i], pass->rows[i], times * count);
  });
  sum.drop_empty();
  return sum;
}

}  // namespace moeline
