#include "plan/training/train.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <unordered_map>

#include "net/occupancy.hpp"
#include "plan/rates.hpp"
#include "plan/training/parts.hpp"
#include "plan/training/pass_times.hpp"
#include "plan/training/pipeline.hpp"
#include "plan/training/slowest_device.hpp"
#include "plan/training/stages.hpp"
#include "plan/training/step_end.hpp"
#include "plan/training/step_rules.hpp"

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

template <class List>
auto& at(List& list, std::int64_t index) {
  return list[static_cast<std::size_t>(index)];
}

constexpr std::size_t kRowsOfStep = 11;  // what its end and its waiting add, mostly

// A pipeline, what its busiest stage computes, and once it was run, what it comes to.
struct PipelineRun {
  EnumSet<Overlap> overlap;
  std::int64_t dp = 1;
  PipelineProblem problem;  // without chunks until it is priced
  Seconds computed;
  struct Result {
    Seconds makespan, busiest;
    std::int64_t busiest_stage = 0;
    Breakdown rows;  // of that stage
  };
  std::optional<Result> result;
};

// The model cut into pp x vpp chunks, and what they add up to.
struct Cut {
  std::int64_t pp = 1, vpp = 1;
  bool folded = false, both_ways = false, hides = false;
  std::string layout;  // as given
  Chunks chunks;
  std::vector<StageContent> stages;
  std::vector<Passes> chunk_sums, stage_sums;
  std::vector<Breakdown> stage_rows;  // of one micro-batch, of stages that were asked for; else empty
  std::shared_ptr<const StageCut> words;  // once an answer wants them
  std::optional<PipelineRun> last;
};

// Whether forward of one micro-batch runs beside backward of another, so that compute hides exchanges.
bool hides_exchanges(const StepQuestion& q) { return pairs_passes(q.parallelism.schedule) || q.train.overlap.contains(Overlap::ep_1f1b); }

std::shared_ptr<const StageCut> words_of(const Cut& cut) {
  StageCut words{.layout = cut.chunks.size() > 1 ? layout_text(cut.chunks) : "", .stage_layers = {}};
  for (const StageContent& stage : cut.stages) words.stage_layers.push_back(stage.layers_of_kind);
  return std::make_shared<const StageCut>(std::move(words));
}

}  // namespace

// Everything that steps with one PartsKey have in common.
struct TrainingSteps::Shared {
  Shared(const PartsKey& asked, const ModelSpec& model, PassPrices& passes)
      : key(asked), context{model, key.parallelism, key.recipe, key.routing, real(key.train.micro_batch), real(key.train.sequence), key.train},
        memory(model_memory({model, key.parallelism, key.recipe, key.routing, key.train})), passes_(passes) {
    all_layers.layers_of_kind.assign(model.kinds.size(), 0);
    for (const int kind : model.layers) ++at(all_layers.layers_of_kind, kind);
  }

  const StageRows& rows() {
    if (!rows_) rows_.emplace(passes_, key);
    return *rows_;
  }
  std::variant<Cut*, Infeasible> cut(const StepQuestion& question, Detail detail);
  // Sums the times of what it holds up, once.
  void time(Cut& cut, std::int64_t chunks_per_stage, Detail detail);

  const PartsKey& key;
  DecoderContext context;  // of the key
  ModelMemory memory;
  StageContent all_layers{.micro_batches = 0};  // as if one stage held them
  std::optional<Flops> flops_per_token;

 private:
  // Parts are priced where they are asked for: a step that does not fit mostly asks for none.
  const StepParts& parts(Detail detail) {
    if (!parts_) parts_ = step_parts(passes_, key, detail);
    return *parts_;
  }
  std::variant<Chunks, Infeasible> chunks(const StepQuestion& question, Detail detail);
  PartTimes part_times(const StepParts& parts, bool hides) const;

  PassPrices& passes_;
  std::optional<StepParts> parts_;
  std::optional<StageRows> rows_;
  std::array<std::optional<EvenCuts>, 2> even_;  // exchanges shown, and hidden
  std::deque<Cut> cuts_;
};

PartTimes TrainingSteps::Shared::part_times(const StepParts& parts, bool hides) const {
  const double taken = moeline::taken(context.train.transport, passes_.machine().gpu);
  const auto both = [&](const Passes& part) {
    return hides ? pair_of(part.forward, part.backward, taken).time : part.forward.time + part.backward.time;
  };
  PartTimes times;
  for (const Passes& kind : parts.kinds) times.kind.push_back(both(kind));
  times.embedding = both(parts.embedding);
  times.head = both(parts.head);
  times.mtp = both(parts.mtp) + both(parts.head);
  if (context.train.mtp_layers > 0) times.mtp += times.kind[static_cast<std::size_t>(context.model.mtp_layers[0])];
  return times;
}

std::variant<Chunks, Infeasible> TrainingSteps::Shared::chunks(const StepQuestion& q, Detail detail) {
  const std::int64_t count = q.parallelism.pp * q.parallelism.vpp, mtp = q.train.mtp_layers;
  if (!q.train.pipeline_layout.empty()) return parse_layout(q.train.pipeline_layout, context.model, mtp, count);
  if (std::optional<Chunks> equal = equal_chunks(context.model, mtp, count)) return *std::move(equal);
  const bool hides = hides_exchanges(q);
  std::optional<EvenCuts>& even = even_[hides ? 1 : 0];
  if (!even) even.emplace(context.model, mtp, part_times(parts(detail), hides));
  return even->chunks(count);
}

std::variant<Cut*, Infeasible> TrainingSteps::Shared::cut(const StepQuestion& q, Detail detail) {
  const Parallelism& p = q.parallelism;
  for (Cut& known : cuts_) {
    if (known.pp == p.pp && known.vpp == p.vpp && known.folded == is_folded(p.schedule) &&
        known.both_ways == runs_both_ways(p.schedule) && known.hides == hides_exchanges(q) &&
        known.layout == q.train.pipeline_layout) return &known;
  }
  auto cut_up = chunks(q, detail);
  if (Infeasible* why = std::get_if<Infeasible>(&cut_up)) return std::move(*why);
  Cut& made = cuts_.emplace_back(Cut{.pp = p.pp, .vpp = p.vpp, .folded = is_folded(p.schedule), .both_ways = runs_both_ways(p.schedule),
                                     .hides = hides_exchanges(q), .layout = q.train.pipeline_layout,
                                     .chunks = std::get<Chunks>(std::move(cut_up)), .stages = {}, .chunk_sums = {}, .stage_sums = {}, .stage_rows = {}, .words = {}});
  for (StageContent& chunk : made.chunks) chunk.recomputed = recomputed_share(context.train, chunk);
  const PipelineProblem pipeline = pipeline_of(p, 1);
  if (pipeline.chunks_per_stage == 1) {
    made.stages = made.chunks;
  } else {
    for (std::int64_t stage = 0; stage < p.pp; ++stage) made.stages.push_back(whole_stage(made.chunks, pipeline, stage));
  }
  return &made;
}

void TrainingSteps::Shared::time(Cut& cut, std::int64_t chunks_per_stage, Detail detail) {
  if (!cut.chunk_sums.empty()) return;
  cut.chunk_sums = sums_of(parts(detail), context.model, cut.chunks);
  cut.stage_sums = chunks_per_stage == 1 ? cut.chunk_sums : sums_of(parts(detail), context.model, cut.stages);
}

namespace {

// However many micro-batches they keep.
bool is_alike(const StageContent& stage, const StageContent& other) {
  return stage.layers_of_kind == other.layers_of_kind && stage.mtp_modules == other.mtp_modules &&
         stage.embedding == other.embedding && stage.head == other.head && stage.recomputed == other.recomputed;
}

// Of two stages with the same content, the one that keeps no more micro-batches needs no more memory.
bool is_below(const StageContent& stage, const StageContent& other) {
  return stage.micro_batches <= other.micro_batches && is_alike(stage, other);
}

// What pairing changes in a step.
struct Saving {
  Seconds hidden, contention;
};

// One question, answered from what is shared.
class Trainer {
 public:
  Trainer(const StepQuestion& question, const ModelSpec& model, const Machine& machine, const ModelMemory& memory,
          Cut& cut, PassGraphs& graphs, std::optional<BytesPerSecond> host_link)
      : p_(question.parallelism), train_(question.train), recipe_(question.recipe), machine_(machine),
        memory_context_{model, p_, recipe_, question.routing, train_}, memory_(memory), cut_(cut), graphs_(graphs), host_link_(host_link) {
    if (!cut_.last || cut_.last->overlap != train_.overlap || cut_.last->dp != p_.dp || pipeline().schedule != p_.schedule ||
        pipeline().micro_batches != micro_batches()) begin_pipeline();
  }

  // Finds the stage that needs most; described where it does not fit.
  std::optional<Infeasible> check_memory(TrainEvaluation& result, Detail detail) const;
  void weigh_stages(TrainEvaluation& result) const;
  void describe_memory(TrainEvaluation& result) const;
  // Fills the pipeline problem; the time its busiest stage computes. `message`: what a micro-batch hands to the next stage.
  Seconds price_stages(Bytes message);
  void run(const StageRows& parts, TrainEvaluation& result, SlowestDevice& slowest);
  const PipelineProblem& pipeline() const { return cut_.last->problem; }

 private:
  std::int64_t micro_batches() const { return train_.global_batch / (p_.dp * train_.micro_batch); }
  void begin_pipeline();
  Seconds transfer_time(Bytes message) const;
  Requirement requirement_of(std::int64_t stage) const { return requirement(memory_context_, memory_, at(cut_.stages, stage)); }
  double in_flight(std::int64_t stage) const { return chunks_in_flight(pipeline().shape(), stage); }
  // Micro-batches that pass each of a stage's chunks.
  double passes() const { return real(pipeline().micro_batches) / (runs_both_ways(p_.schedule) ? 2 : 1); }
  const Passes& sum_at(std::int64_t chunk) const { return at(cut_.chunk_sums, chunk % static_cast<std::int64_t>(cut_.chunk_sums.size())); }
  Saving combined(std::int64_t stage) const;
  Saving paired(std::int64_t stage) const;
  Saving saving(std::int64_t stage) const { return pairs_passes(p_.schedule) ? paired(stage) : combined(stage); }
  Breakdown rows(const StageRows& parts, std::int64_t stage) const;
  const PipelineRun::Result& run_pipeline(const StageRows& parts);
  // None before `from` is of its name.
  void add(TrainEvaluation& result, const BreakdownRow& row, std::size_t from) const {
    if (!is_free(machine_, row.name)) result.breakdown.add(row, 1, from);
  }

  const Parallelism& p_;
  const TrainWorkload& train_;
  const Recipe& recipe_;
  const Machine& machine_;
  MemoryContext memory_context_;
  const ModelMemory& memory_;
  Cut& cut_;
  PassGraphs& graphs_;
  std::optional<BytesPerSecond> host_link_;
};

void Trainer::begin_pipeline() {
  cut_.last.emplace(PipelineRun{.overlap = train_.overlap, .dp = p_.dp, .problem = pipeline_of(p_, micro_batches()), .computed = {}, .result = {}});
  for (std::int64_t stage = 0; stage < p_.pp; ++stage) {
    at(cut_.stages, stage).micro_batches = in_flight(stage) / real(pipeline().chunks_per_stage);
  }
}

std::optional<Infeasible> Trainer::check_memory(TrainEvaluation& result, Detail detail) const {
  const Bytes have = result.memory_available = machine_.gpu.hbm_capacity.value;
  if (detail == Detail::rows) weigh_stages(result);
  Bytes need;
  for (std::int64_t stage = 0; stage < p_.pp; ++stage) {
    if (stage > 0 && is_below(at(cut_.stages, stage), at(cut_.stages, stage - 1))) continue;
    const Bytes candidate = detail == Detail::rows ? at(result.stage_memory, stage) : requirement_of(stage).of(at(cut_.stages, stage).micro_batches);
    if (stage == 0 || candidate > need) {
      need = candidate;
      result.memory_stage = stage;
    }
  }
  if (need <= have) return std::nullopt;
  if (detail == Detail::times) return Infeasible{"out of memory", "", need, have};
  describe_memory(result);
  const auto largest = std::max_element(result.memory.parts.begin(), result.memory.parts.end(),
                                        [](const MemoryPart& a, const MemoryPart& b) { return a.bytes < b.bytes; });
  return Infeasible{fmt::format("out of memory: stage {} needs {} of {}, most of it {} ({})", result.memory_stage,
                                format(need), format(have), largest->name, format(largest->bytes)),
                    memory_advice(largest->name, train_), need, have};
}

void Trainer::weigh_stages(TrainEvaluation& result) const {
  result.stage_memory.reserve(static_cast<std::size_t>(p_.pp));
  Requirement needs;
  for (std::int64_t stage = 0; stage < p_.pp; ++stage) {
    if (stage == 0 || !is_alike(at(cut_.stages, stage), at(cut_.stages, stage - 1))) needs = requirement_of(stage);
    result.stage_memory.push_back(needs.of(at(cut_.stages, stage).micro_batches));
  }
}

void Trainer::describe_memory(TrainEvaluation& result) const {
  if (result.stage_memory.empty()) weigh_stages(result);
  result.memory = footprint(memory_context_, memory_, at(cut_.stages, result.memory_stage));
}

// Of the whole step, where combined 1F1B reaches: forward of one micro-batch beside backward of another; the warm-up has
// no partner.
Saving Trainer::combined(std::int64_t stage) const {
  const Passes& sum = at(cut_.stage_sums, stage);
  if (!train_.overlap.contains(Overlap::ep_1f1b) || !(sum.forward.network + sum.backward.network > Seconds{})) return {};
  const double all = real(pipeline().micro_batches * pipeline().chunks_per_stage);
  const double times = passes() * std::max(0.0, (all - in_flight(stage)) / all);
  const Pair pair = pair_of(sum.forward, sum.backward, taken(train_.transport, machine_.gpu));
  return {times * (sum.forward.exchange + sum.backward.exchange - pair.exposed), times * pair.contention};
}

// Of the whole step: the pairs that the order names.
Saving Trainer::paired(std::int64_t stage) const {
  Saving saving;
  for (const std::int64_t own : {0, 1}) {
    const PassTimes& forward = sum_at(pipeline().chunk_at(stage, own)).forward;
    const PassTimes& backward = sum_at(pipeline().chunk_at(stage, 1 - own)).backward;
    const Pair pair = pair_of(forward, backward, taken(train_.transport, machine_.gpu));
    const double times = real(pairs_of(pipeline().shape(), stage, own));
    saving.hidden += times * (forward.exchange + backward.exchange - pair.exposed);
    saving.contention += times * pair.contention;
  }
  return saving;
}

Seconds Trainer::transfer_time(Bytes message) const {
  if (p_.pp == 1 || is_free(machine_, "pipeline transfers")) return {};
  return cost(Collective{CollectiveKind::send_recv, message, pipeline_group(p_)}, machine_).time;
}

Seconds Trainer::price_stages(Bytes message) {
  PipelineRun& priced = *cut_.last;
  PipelineProblem& pipeline = priced.problem;
  if (!pipeline.chunks.empty()) return priced.computed;  // steps that differ in sharding alone run alike
  pipeline.transfer = transfer_time(message);
  pipeline.transfer_occupies = !train_.overlap.contains(Overlap::pp);
  pipeline.chunks.resize(static_cast<std::size_t>(p_.pp * pipeline.chunks_per_stage));
  for (std::int64_t stage = 0; stage < p_.pp; ++stage) {
    const Passes& sum = at(cut_.stage_sums, stage);
    const Seconds alone = passes() * (sum.forward.time + sum.backward.time);
    const Saving saved = saving(stage);
    const Seconds busy = alone - saved.hidden + saved.contention;
    priced.computed = max(priced.computed, busy);
    // Combined 1F1B shortens all passes of a stage alike; pairs of an order shorten themselves.
    const double kept = pairs_passes(p_.schedule) || !(alone > Seconds{}) ? 1 : busy / alone;
    for (std::int64_t own = 0; own < pipeline.chunks_per_stage; ++own) {
      const std::int64_t chunk = pipeline.chunk_at(stage, own);
      const Passes& one = sum_at(chunk);
      at(pipeline.chunks, chunk) = {kept * one.forward.time, kept * one.backward.time, kept * one.backward.weight};
      if (!pairs_passes(p_.schedule)) continue;
      const PassTimes& other = sum_at(pipeline.chunk_at(stage, 1 - own)).backward;
      at(pipeline.chunks, chunk).paired = pair_of(one.forward, other, taken(train_.transport, machine_.gpu)).time;
    }
  }
  return priced.computed;
}

// Forward and backward of all micro-batches.
Breakdown Trainer::rows(const StageRows& parts, std::int64_t stage) const {
  cut_.stage_rows.resize(cut_.stages.size());
  Breakdown& one = at(cut_.stage_rows, stage);
  if (one.rows().empty()) one = parts.of(at(cut_.stages, stage));
  Breakdown sum = one;
  sum.scale(passes());
  const Saving saved = saving(stage);
  sum.hide(kExchanges, saved.hidden);
  if (saved.contention > Seconds{}) {
    sum.add({.name = "contention", .phase = "pipeline", .seconds = saved.contention, .exposed = saved.contention,
             .bound_by = "multiprocessors", .source = sum.source(), .largest = saved.contention});
  }
  return sum;
}

const PipelineRun::Result& Trainer::run_pipeline(const StageRows& parts) {
  std::optional<PipelineRun::Result>& known = cut_.last->result;
  if (known) return *known;
  const PipelineResult ran = simulate(pipeline(), graphs_);
  const Seconds most = *std::max_element(ran.busy.begin(), ran.busy.end());
  // The first of equals, whatever the rounding.
  const auto busiest = std::find_if(ran.busy.begin(), ran.busy.end(), [&](Seconds busy) { return busy >= (1 - 1e-9) * most; });
  const std::int64_t stage = busiest - ran.busy.begin();
  return known.emplace(PipelineRun::Result{ran.makespan, *busiest, stage, rows(parts, stage)});
}

void Trainer::run(const StageRows& parts, TrainEvaluation& result, SlowestDevice& slowest) {
  const PipelineRun::Result& ran = run_pipeline(parts);
  result.busiest_stage = ran.busiest_stage;
  result.micro_batches = pipeline().micro_batches;
  result.breakdown.reserve(ran.rows.rows().size() + kRowsOfStep);
  result.breakdown = ran.rows;
  const std::size_t first = result.breakdown.rows().size();
  const auto waiting = [&](std::string_view name, Seconds time, Lane lane) {
    if (!(time > 1e-9 * ran.makespan)) return;  // rounding is no waiting
    add(result, {.name = name, .phase = "pipeline", .lane = lane, .seconds = time, .exposed = time, .bound_by = "schedule",
                 .source = result.breakdown.source(), .largest = time}, first);
  };
  const Seconds work = result.breakdown.exposed();
  waiting("pipeline transfers", ran.busiest - work, Lane::network);
  waiting("pipeline bubble", ran.makespan - ran.busiest, Lane::compute);
  StepEnd end{.context = memory_context_, .memory = memory_, .machine = machine_, .stage = at(cut_.stages, result.busiest_stage),
              .micro_batches = real(pipeline().micro_batches), .host_link = host_link_};
  for (std::int64_t own = 0; own < pipeline().chunks_per_stage; ++own) {
    const ChunkTimes& chunk = at(pipeline().chunks, pipeline().chunk_at(result.busiest_stage, own));
    end.forward += chunk.forward;
    end.backward += chunk.backward;
  }
  end.add_to(result.breakdown);
  const BreakdownRow waited = slowest.row(result.breakdown, machine_.gpu, p_.ranks_per_stage() * p_.pp);
  if (waited.exposed > Seconds{}) add(result, waited, first);
  result.step = range_of(result.breakdown);
  result.parallelism = p_;
  if (!cut_.words) cut_.words = words_of(cut_);
  result.cut = cut_.words;
}

}  // namespace

struct TrainingSteps::Memo {
  Memo(const ModelSpec& model, const Machine& machine) : passes(model, machine) {}

  static constexpr std::size_t kMost = 32;  // some 30 kB each: what a second-level cache holds
  CostMemo costs;
  PassPrices passes;
  PassGraphs graphs;
  SlowestDevice slowest;
  std::unordered_map<PartsKey, std::unique_ptr<Shared>, PartsHash> known;
  Shared* last = nullptr;  // mostly asked for again
};

TrainingSteps::TrainingSteps(const Cluster& cluster, const ModelSpec& model, const Calibration& calibration,
                             std::vector<std::string_view> free)
    : cluster_(cluster), model_(model), machine_{std::get<Gpu>(cluster.device), cluster.fabric, calibration, std::move(free)},
      memo_(std::make_unique<Memo>(model, machine_)) {
  machine_.memo = &memo_->costs;
}

TrainingSteps::~TrainingSteps() = default;

TrainingSteps::Shared& TrainingSteps::shared(const StepQuestion& question) {
  PartsKey key(question.recipe, question.routing, question.parallelism, question.train);
  Memo& memo = *memo_;
  if (memo.last != nullptr && memo.last->key == key) return *memo.last;
  const auto found = memo.known.find(key);
  if (found != memo.known.end()) return *(memo.last = found->second.get());
  memo.last = nullptr;  // of what is forgotten now
  if (memo.known.size() >= Memo::kMost) memo.known.clear();
  const auto made = memo.known.emplace(std::move(key), nullptr).first;
  made->second = std::make_unique<Shared>(made->first, model_, memo.passes);
  return *(memo.last = made->second.get());
}

Bytes TrainingSteps::least_memory(const StepQuestion& question) { return least_memory(question, shared(question)); }

Bytes TrainingSteps::least_memory(const StepQuestion& q, const Shared& known) const {
  return states({model_, q.parallelism, q.recipe, q.routing, q.train}, known.memory, known.all_layers) / real(q.parallelism.pp);
}

StepAnswer TrainingSteps::evaluate(const StepQuestion& question) { return fitting(question, nullptr); }

StepAnswer TrainingSteps::fitting(const StepQuestion& q, PricedStep* drawn) {
  const auto overflows = [](const StepAnswer& answer) {
    const Infeasible* why = std::get_if<Infeasible>(&answer);
    return why != nullptr && why->need.has_value();
  };
  StepAnswer answer = *step(q, std::nullopt, drawn);
  if (q.train.recompute_given || !overflows(answer)) return answer;
  for (const Recomputation& again : recomputations_to_fit(q.train)) {
    const TrainWorkload train = with(q.train, again);
    answer = *step({q.recipe, q.routing, q.parallelism, train}, std::nullopt, drawn);
    if (TrainEvaluation* fits = std::get_if<TrainEvaluation>(&answer)) fits->recomputation = again;
    if (!overflows(answer)) return answer;
  }
  std::get<Infeasible>(answer).reason += ", with everything recomputed";
  return answer;
}

std::optional<StepAnswer> TrainingSteps::evaluate(const StepQuestion& question, Seconds most) { return step(question, most, nullptr); }

std::variant<PricedStep, Infeasible> TrainingSteps::priced(const StepQuestion& question) {
  PricedStep drawn;
  StepAnswer answer = fitting(question, &drawn);
  if (Infeasible* why = std::get_if<Infeasible>(&answer)) return std::move(*why);
  drawn.answer = std::get<TrainEvaluation>(std::move(answer));
  return drawn;
}

std::optional<StepAnswer> TrainingSteps::step(const StepQuestion& q, std::optional<Seconds> most, PricedStep* drawn) {
  if (auto why = check_batch(q.parallelism, q.train)) return *std::move(why);
  if (auto why = check_overlap(q.parallelism, q.train)) return *std::move(why);
  Shared& known = shared(q);
  const Bytes have = machine_.gpu.hbm_capacity.value;
  if (most) {
    if (const Bytes least = least_memory(q, known); least > have) {
      return StepAnswer(Infeasible{std::string(kStatesAlone), memory_advice("optimizer", q.train), least, have});
    }
  }
  const Detail detail = most ? Detail::times : Detail::rows;
  auto made = known.cut(q, detail);
  if (Infeasible* why = std::get_if<Infeasible>(&made)) return std::move(*why);
  Cut& cut = *std::get<Cut*>(made);
  std::optional<BytesPerSecond> host_link;
  if (cluster_.node) host_link = cluster_.node->host_link.value;
  if (!host_link && (q.train.offload_layers > 0 || q.train.offload_optimizer > 0)) {
    return StepAnswer(Infeasible{"offloading, and the hardware profile names no link to the host", "give node/host_link, or offload nothing"});
  }
  Trainer trainer(q, model_, machine_, known.memory, cut, memo_->graphs, host_link);
  TrainEvaluation result;
  if (auto why = trainer.check_memory(result, detail)) return *std::move(why);
  known.time(cut, trainer.pipeline().chunks_per_stage, detail);
  const Seconds computed = trainer.price_stages(bytes(DType::bf16, known.context.shard_tokens() * real(model_.hidden)));
  if (most && computed > *most) return std::nullopt;
  trainer.describe_memory(result);
  trainer.run(known.rows(), result, memo_->slowest);
  if (drawn != nullptr) {
    drawn->pipeline = trainer.pipeline();
    drawn->chunks = cut.chunks;
  }
  if (!known.flops_per_token) known.flops_per_token = model_flops_per_token(model_, real(q.train.sequence), q.train.mtp_layers);
  const std::int64_t devices = q.parallelism.ranks_per_stage() * q.parallelism.pp;
  // Of three products of the same size in a training step, frozen weights have no gradient.
  const Flops per_token = (q.train.lora ? 2.0 / 3 : 1.0) * *known.flops_per_token;
  add_rates(cluster_, devices, mfu_format(q.recipe), q.train, per_token, result);
  return result;
}

}  // namespace moeline
