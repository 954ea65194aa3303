#include "plan/training/step_end.hpp"

#include <algorithm>
#include <array>

#include "net/collectives.hpp"
#include "net/occupancy.hpp"
#include "ops/decoder.hpp"
#include "ops/expert_copies.hpp"
#include "plan/training/muon.hpp"

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

// Parameters per gradient bucket; reduction can start once the first bucket is full (Megatron-Core default).
constexpr double kBucket = 40e6;

// A collective that runs once per step behind `cover` of compute, exposed at least by its last bucket.
BreakdownRow behind(std::string_view name, std::string_view phase, const OpCost& cost, double repeats, Seconds cover,
                    bool overlapped, double buckets) {
  const Seconds total = repeats * cost.time;
  const Seconds exposed = overlapped ? min(total, max(total - cover, cost.time / std::max(1.0, buckets))) : total;
  return {.name = name, .phase = phase, .lane = Lane::network, .seconds = total, .exposed = exposed,
          .bytes = repeats * cost.bytes, .bound_by = cost.bound_by, .source = cost.source, .spread = cost.spread,
          .largest = total};
}

BreakdownRow once(std::string_view name, const OpCost& cost) {
  return {.name = name, .phase = "optimizer", .seconds = cost.time, .exposed = cost.time, .bytes = cost.bytes,
          .bound_by = cost.bound_by, .source = cost.source, .spread = cost.spread, .largest = cost.time};
}

// {inside one copy, across copies} of dense and of expert parameters.
using ReductionGroups = std::array<std::pair<Group, Group>, 2>;

class Rest {
 public:
  Rest(const StepEnd& end, Breakdown& rows)
      : end_(end), p_(end.context.parallelism), train_(end.context.train), recipe_(end.context.recipe), model_(end.context.model), rows_(rows),
        first_(rows.rows().size()) {}

  void add_reductions(const LocalParameters& local);
  void add_copies(const LocalParameters& local);
  void add_optimizer(const LocalParameters& local);
  void add_offload(const LocalParameters& local);
  void add_balancer();

 private:
  Bytes gathered_weights(double parameters, const LocalParameters& local) const;
  double owned(const LocalParameters& local) const;
  ReductionGroups reduction_groups() const;
  Seconds slow_by(const BreakdownRow& row);
  void add(const BreakdownRow& row) {
    if (!is_free(end_.machine, row.name)) rows_.add(row, 1, first_);
  }

  const StepEnd& end_;
  const Parallelism& p_;
  const TrainWorkload& train_;
  const Recipe& recipe_;
  const ModelSpec& model_;
  Breakdown& rows_;
  std::size_t first_;  // of this end's: what repeats before it has other names
};

// Weights travel in the format they rest in; the quantised share is taken as that of the whole stage.
Bytes Rest::gathered_weights(double parameters, const LocalParameters& local) const {
  const double share = recipe_.weight == DType::bf16 ? 0 : local.quantised / (local.dense + local.expert);
  return bytes(DType::bf16, (1 - share) * parameters) + bytes(recipe_.weight, share * parameters);
}

// Who reduces the gradients of dense and of expert parameters: inside one copy of a shard group, and across its replicas.
ReductionGroups Rest::reduction_groups() const {
  const Group replicas = replica_group(p_), experts = expert_data_group(p_);
  const std::int64_t expert_shard = std::max<std::int64_t>(1, experts.size / replicas.size);
  return {{{shard_group(p_), replicas},
           {{expert_shard, experts.stride}, {experts.size / expert_shard, experts.stride * expert_shard}}}};
}

// What the collective hides it takes multiprocessors for; the time that hides.
Seconds Rest::slow_by(const BreakdownRow& row) {
  const Seconds hidden = row.seconds - row.exposed, slower = taken(kCollectiveMultiprocessors, end_.machine.gpu) * hidden;
  if (slower > Seconds{} && !is_free(end_.machine, "contention")) {  // pairs of passes have some, too
    rows_.add({.name = "contention", .phase = "pipeline", .seconds = slower, .exposed = slower, .bound_by = "multiprocessors",
               .source = row.source, .spread = row.spread, .largest = slower});
  }
  return hidden;
}

void Rest::add_reductions(const LocalParameters& local) {
  const double m = end_.micro_batches;
  const bool reduce_hidden = train_.overlap.contains(Overlap::dp_reduce);
  const bool gather_hidden = train_.overlap.contains(Overlap::param_gather);
  const double reductions = p_.zero >= 2 ? m : 1, gathers = p_.zero == 3 ? 2 * m : 1;
  Seconds cover_reduce = p_.zero >= 2 ? m * end_.backward : end_.backward, cover_gather = p_.zero == 3 ? m * (end_.forward + end_.backward) : end_.forward;
  const auto reduce = [&](CollectiveKind kind, double parameters, Group group) {
    if (group.size <= 1) return;
    const OpCost cost = moeline::cost(Collective{kind, bytes(train_.gradient, parameters), group}, end_.machine);
    const BreakdownRow row = behind("gradient reduction", "backward", cost, reductions, cover_reduce, reduce_hidden, parameters / kBucket);
    add(row);
    cover_reduce = max(Seconds{}, cover_reduce - slow_by(row));
  };
  const ReductionGroups groups = reduction_groups();
  for (const auto& [parameters, group] : {std::pair{local.dense, groups[0]}, std::pair{local.expert, groups[1]}}) {
    if (parameters <= 0) continue;
    const auto [shard, replicas] = group;
    reduce(p_.zero == 0 ? CollectiveKind::all_reduce : CollectiveKind::reduce_scatter, parameters, shard);
    reduce(CollectiveKind::all_reduce, parameters / real(shard.size), replicas);
    if (p_.zero == 0 || shard.size <= 1) continue;
    const OpCost gather = cost(Collective{CollectiveKind::all_gather, gathered_weights(parameters, local), shard}, end_.machine);
    const BreakdownRow row = behind("parameter gather", "forward", gather, gathers, cover_gather, gather_hidden, parameters / kBucket);
    add(row);
    cover_gather = max(Seconds{}, cover_gather - slow_by(row));
  }
}

// PyTorch's FSDP2: what was gathered goes from a flat buffer into every tensor, on the stream that computes, and gradients go into
// the buffer that is reduced and its format, for which that stream waits. (A rank's own share is cast beside it.) A
// pipeline keeps weights gathered, and adds gradients up, over its micro-batches.
void Rest::add_copies(const LocalParameters& local) {
  if (p_.zero != 3 || !train_.extra_passes.contains(ExtraPass::fsdp_copies)) return;
  const double all = local.dense + local.expert, passes = p_.pp > 1 ? 1 : end_.micro_batches, gathers = p_.pp > 1 ? 1 : 2 * passes;
  const Bytes gathered = gathered_weights(all, local);
  const auto copy = [&](std::string_view phase, Bytes read, Bytes written, double times) {
    BreakdownRow row = once("sharding copies", cost(Elementwise{read, written}, end_.machine));
    row.phase = phase;
    if (is_free(end_.machine, row.name)) return;
    rows_.add(row, times, first_);
  };
  copy("forward", gathered, gathered, gathers);
  copy("backward", bytes(DType::bf16, all), bytes(train_.gradient, all), passes);
}

double Rest::owned(const LocalParameters& local) const {
  if (p_.zero == 0) return local.dense + local.expert;
  const ReductionGroups groups = reduction_groups();
  return local.dense / real(groups[0].first.size) + local.expert / real(groups[1].first.size);
}

void Rest::add_optimizer(const LocalParameters& local) {
  // States are read and written, the gradient read by its norm, scaled to the norm allowed and read by the update; the weight is
  // written from its master, and the buffer of gradients, of all that this rank computes, starts from zero.
  const double here = (1 - train_.offload_optimizer) * owned(local), buffer = p_.zero == 3 ? owned(local) : local.dense + local.expert;
  const Bytes states = here * optimizer_bytes_per_parameter(train_), gradient = bytes(train_.gradient, here);
  const double scaled = train_.extra_passes.contains(ExtraPass::loss_scaling) ? 1 : 0;  // back from the loss's scale, overflows found
  const Elementwise update{states + (3 + scaled) * gradient + bytes(train_.master, here),
                           states + (1 + scaled) * gradient + bytes(DType::bf16, here) + bytes(train_.gradient, buffer)};
  add(once("optimizer", cost(update, end_.machine)));
  if (train_.optimizer == Optimizer::muon) {
    const DecoderContext context{model_, p_, recipe_, end_.context.routing, real(train_.micro_batch), real(train_.sequence), train_};
    const double share = owned(local) / (local.dense + local.expert);
    add(once("Newton-Schulz", newton_schulz(context, end_.stage, share, end_.machine)));
  }
  if (local.quantised <= 0 || recipe_.weights_made != Made::optimizer_step) return;
  const DType type = bits(recipe_.expert) < 16 ? recipe_.expert : recipe_.linear;
  add(once("quantise weights", cost(Quantize{.elements = local.quantised, .to = type, .copies = recipe_.transposed_weight ? 2.0 : 1.0,
                                                     .kernels = recipe_.kernels}, end_.machine)));
}

// Activations leave behind their forward and come back behind the backward before theirs; of states on the host the gradient
// goes down and the weight comes up, with nothing to hide behind.
void Rest::add_offload(const LocalParameters& local) {
  const auto moved = [&](Bytes bytes) { return OpCost{.bytes = bytes, .time = bytes / *end_.host_link, .spread = 0.1, .bound_by = "host link", .source = Source::bound}; };
  if (train_.offload_layers > 0) {
    const StageContent& stage = end_.stage;
    TrainWorkload kept = train_;
    kept.offload_layers = 0;
    StageContent one = stage;
    one.micro_batches = 1;
    const MemoryContext context{model_, p_, recipe_, end_.context.routing, kept};
    const double share = std::min(1.0, real(train_.offload_layers) / std::max(1.0, real(stage.layers())));
    const OpCost one_way = moved(share * footprint(context, end_.memory, one).of("activations"));
    const double m = end_.micro_batches;
    for (const bool forward : {true, false}) {
      const Seconds cover = m * (forward ? end_.forward : end_.backward);
      add(behind("activation offload", forward ? "forward" : "backward", one_way, m, cover, true, real(stage.layers())));
    }
  }
  if (train_.offload_optimizer > 0) {
    const double there = train_.offload_optimizer * owned(local);
    add(once("optimizer offload", moved(bytes(train_.gradient, there) + bytes(DType::bf16, there))));
  }
}

// Of all layers of the stage: loads or prices, reduced in one message; and what EPLB moves, since a step changes weights:
// copies get them anew and send their gradients home, and a new plan brings other experts.
void Rest::add_balancer() {
  const Group group = data_group(p_);
  Bytes reduced;
  const StageContent& stage = end_.stage;
  const auto add_copies = [&](const MoeFfn& moe, double experts, DType type, double layers) {
    if (experts <= 0) return;
    BreakdownRow row = once("balancer", cost(expert_copies(model_, moe, p_, layers * experts, type), end_.machine.fabric, end_.machine.calibration));
    row.lane = Lane::network;
    add(row);
  };
  for (std::size_t k = 0; k < stage.layers_of_kind.size(); ++k) {
    const MoeFfn* moe = std::get_if<MoeFfn>(&model_.kinds[k].ffn);
    if (moe == nullptr) continue;
    const BalancerWork work = balancer_work(*moe, end_.context.routing, 1, real(p_.ep));
    const double layers = stage.layers_of_kind[k];
    reduced += layers * work.reduced;
    if (p_.ep == 1 || end_.context.routing.balancer != Balancer::eplb) continue;
    add_copies(*moe, work.copies + experts_of_new_plans(*moe, work, real(p_.ep)), DType::bf16, layers);
    add_copies(*moe, work.copies, train_.gradient, layers);
  }
  if (!(reduced > Bytes{}) || group.size <= 1) return;
  add(once("balancer", cost(Collective{CollectiveKind::all_reduce, reduced, group}, end_.machine)));
}

}  // namespace

void StepEnd::add_to(Breakdown& rows) const {
  const LocalParameters local = trained_parameters(context, memory, stage);
  Rest rest(*this, rows);
  rest.add_reductions(local);
  rest.add_copies(local);
  rest.add_optimizer(local);
  rest.add_offload(local);
  rest.add_balancer();
}

}  // namespace moeline
