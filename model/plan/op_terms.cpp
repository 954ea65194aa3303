#include "plan/op_terms.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "gpu/attention.hpp"
#include "gpu/gemm.hpp"
#include "gpu/moe_op.hpp"
#include "gpu/quantise.hpp"
#include "gpu/serving.hpp"
#include "net/collectives.hpp"
#include "ops/decoder.hpp"
#include "plan/serving/steps.hpp"
#include "plan/wafer/step.hpp"

namespace moeline {
namespace {

Term seconds(std::string_view name, Seconds value) { return {std::string(name), value.in(second), "seconds"}; }
Term bytes_term(std::string_view name, Bytes value) { return {std::string(name), value.in(byte), "bytes"}; }
Term flops_term(Flops value) { return {"flops", value.in(flop), "flops"}; }
Term count(std::string_view name, double value) { return {std::string(name), value, ""}; }

// Writes formula and terms of one kind of work each.
struct Explain {
  const Machine& machine;
  OpExplanation& op;

  void product(const GemmTerms& t, double m, double n, double k) const {
    op.formula = "(launch + max(tensor, memory) + leak + splitting + experts) x correction";
    op.terms = {count("m", m),
                count("n", n),
                count("k", k),
                count("tile_m", t.tile_m),
                count("tile_n", t.tile_n),
                count("split", t.split),
                count("tiles", t.tiles),
                count("waves", t.waves),
                flops_term(t.flops),
                bytes_term("bytes", t.bytes),
                seconds("launch", t.launch),
                seconds("tensor", t.tensor),
                seconds("memory", t.memory),
                seconds("leak", t.leak),
                seconds("splitting", t.splitting),
                seconds("experts", t.experts),
                count("correction", t.correction)};
  }
  void operator()(const Gemm& w) const {
    product(gemm_terms(w, machine.gpu, adapted(w, machine)), w.m, w.n, w.k);
  }
  void operator()(const GroupedGemm& w) const {
    const GemmFit* own = machine.calibration.grouped(w.operands);
    product(gemm_terms(w, machine.gpu, own != nullptr ? *own : adapted(w, machine)), w.m, w.n, w.k);
    op.terms.insert(op.terms.begin(), count("groups", w.groups));
  }
  void operator()(const AttentionCore& w) const {
    const bool latent = w.qk_dim > w.value_dim;
    const PrefillFit& fit = latent ? machine.calibration.latent_attention : machine.calibration.attention;
    const PrefillTerms t = prefill_terms(w, machine.gpu, fit);
    op.formula = "launch + around + max(longest tile, shared work, memory)";
    op.terms = {count("sequences", w.sequences),
                count("heads", w.heads),
                count("queries", w.queries),
                count("keys", w.keys),
                count("tiles", t.tiles),
                count("longest_steps", t.longest),
                count("mean_steps", t.mean),
                count("busy", t.busy),
                flops_term(t.flops),
                bytes_term("bytes", t.bytes),
                seconds("launch", w.backward ? fit.launch_backward : fit.launch),
                seconds("around", t.around),
                seconds("longest_tile", t.tail),
                seconds("shared_work", t.shared),
                seconds("memory", t.memory)};
  }
  void streamed() const {
    const MemoryFit& fit = machine.calibration.memory;
    op.formula = "launch + bytes / (share of HBM x bandwidth)";
    op.terms = {bytes_term("bytes", op.cost.bytes), count("share_of_hbm", fit.memory), seconds("launch", fit.launch),
                seconds("memory", op.cost.time - fit.launch)};
  }
  void operator()(const Elementwise&) const { streamed(); }
  // What its kernel form adds to the bytes is in the rest of the time.
  void scaled() const {
    op.formula = "launch + bytes / (share of HBM that the kernel form reaches x bandwidth)";
    op.terms = {bytes_term("bytes", op.cost.bytes), seconds("launch", machine.calibration.memory.launch),
                seconds("moving", op.cost.time - machine.calibration.memory.launch)};
  }
  void operator()(const Quantize&) const { scaled(); }
  void operator()(const Relayout&) const { scaled(); }
  void operator()(const FusedExperts& w) const {
    op.formula = "start + max(products, weights, link) + leak (the two smaller)";
    op.terms = {count("tokens", w.tokens),       count("experts", w.experts),
                count("top_k", w.top_k),         count("hidden", w.hidden),
                count("width", w.width),         count("overload", w.overload),
                flops_term(op.cost.flops),       bytes_term("bytes", op.cost.bytes),
                seconds("time", op.cost.time)};
  }
  void operator()(const Permute&) const { streamed(); }
  void operator()(const StateScan& w) const {
    op.formula = "launch + max(tensor, memory)";
    op.terms = {count("tokens", w.tokens), count("heads", w.heads), flops_term(op.cost.flops),
                bytes_term("bytes", op.cost.bytes), seconds("launch", machine.calibration.scan.launch)};
  }
  // Bytes and time that the links alone need; a fitted transport adds the rest.
  void network(const NetworkTerms& t, double ranks) const {
    const bool bound = op.cost.source == machine.calibration.link.source && op.cost.source == Source::bound;
    op.formula = bound ? "launch + latency + transfer" : "fitted transport; the links alone: latency + transfer";
    op.terms = {count("ranks", ranks), count("hops", t.hops)};
    for (std::size_t i = 0; i < t.per_tier.size(); ++i) {
      if (t.per_tier[i] > Bytes{}) op.terms.push_back(bytes_term(machine.fabric[i].name, t.per_tier[i]));
    }
    op.terms.push_back(seconds("latency", t.latency));
    op.terms.push_back(seconds("transfer", t.transfer));
    if (!bound) op.terms.push_back(seconds("above_links", op.cost.time - t.latency - t.transfer));
  }
  void operator()(const Collective& w) const {
    network(collective_terms(w, machine.fabric), static_cast<double>(w.group.size));
  }
  // Kernels of serving stacks. What a page corrects its equation by is a factor.
  void operator()(const DecodeAttention& w) const {
    const DecodeFit& fit = decode_fit(w, machine);
    const DecodeTerms t = decode_terms(w.shape, machine.gpu, fit);
    const double surface = fit.surface ? std::exp(fit.surface->at(decode_coordinates(w.shape))) : 1;
    op.formula = "(launch + combine + ramp + queries + max(tensor, walk, memory)) x correction";
    op.terms = {count("sequences", w.shape.sequences),
                count("heads", w.shape.heads),
                count("keys", w.shape.keys),
                count("chunks", t.chunks),
                count("waves", t.waves),
                flops_term(op.cost.flops),
                bytes_term("bytes", t.cache),
                seconds("launch", fit.launch),
                seconds("combine", t.combine),
                seconds("ramp", t.ramp),
                seconds("queries", t.queries),
                seconds("tensor", t.tensor),
                seconds("walk", max(t.walk, t.vector)),
                seconds("memory", t.memory),
                count("correction", surface)};
    if (w.queries > 1) {
      op.formula += " + other queries";
      op.terms.push_back(seconds("other_queries", op.cost.time - t.time));
    }
  }
  void operator()(const ServedExperts& w) const {
    const ChosenKernel chosen = chosen_kernel(w, machine);
    const MoeOpFit fit = chosen.kernel != nullptr ? chosen.kernel->fit : MoeOpFit{};
    const MoeOpTerms t = moe_op_terms(w.op, w.load, machine.gpu, fit);
    op.formula = "(launch + up + down + elementwise + overhead) x correction";
    if (chosen.kernel != nullptr) op.formula += ", by " + chosen.kernel->library;
    op.terms = {count("tokens", w.load.tokens),
                count("rows", w.load.rows),
                count("experts_hit", w.load.hit),
                count("tiles", t.up.tiles),
                count("waves", t.up.waves),
                flops_term(t.flops),
                bytes_term("bytes", t.bytes),
                seconds("launch", fit.launch),
                seconds("up_tensor", t.up.tensor),
                seconds("up_memory", t.up.memory),
                seconds("up", t.up.time),
                seconds("down_tensor", t.down.tensor),
                seconds("down_memory", t.down.memory),
                seconds("down", t.down.time),
                seconds("elementwise", t.elementwise),
                seconds("overhead", t.overhead),
                count("correction", op.cost.time / t.time)};
  }
  void operator()(const ServedReduce& w) const {
    const std::optional<OwnReduce> own = own_reduce(w, machine);
    if (!own) return (*this)(Collective{CollectiveKind::all_reduce, w.bytes, w.group});
    const FrameworkAllReduceTerms t = framework_all_reduce_terms(own->call, own->fit);
    constexpr std::array kKernels{"one shot", "two shots", "in the switch"};
    op.formula = fmt::format("launch and hops + transfer, {}", kKernels.at(static_cast<std::size_t>(t.kernel)));
    op.terms = {count("ranks", own->call.ranks), bytes_term("buffer", w.bytes), seconds("launch_and_hops", t.fixed),
                seconds("transfer", t.transfer)};
  }
  void operator()(const LowLatencyExchange& w) const {
    const auto [call, fit] = low_latency_call(w, machine);
    const DeepEpTerms t = deepep_terms(call, fit);
    const double surface = fit.surface ? std::exp(fit.surface->at(deepep_coordinates(call))) : 1;
    op.formula = "(launch + max(multiprocessors, link, wire)) x correction";
    op.terms = {count("ranks", call.ranks), count("nodes", call.nodes), count("tokens", call.tokens), bytes_term("row", call.row),
                seconds("launch", t.fixed), seconds("multiprocessors", t.multiprocessors), seconds("link", t.link),
                seconds("wire", t.wire), count("correction", surface)};
  }
  void operator()(const TokenExchange& w) const {
    network(exchange_terms(w, machine.fabric), static_cast<double>(w.group.size));
  }
};

// A list of ops, and how often the busiest stage runs it in one step.
struct Repeated {
  Step step;
  std::string where;
  double times = 1;
  std::string_view phase{};  // of all its ops, where it is not their own
};

std::string place(const LayerKind& kind) {
  return std::holds_alternative<MoeFfn>(kind.ffn) ? "MoE layer" : "dense layer";
}

// Which of E, m and L the busiest stage holds; without a pipeline, all.
double items_on_stage(char item, const TrainEvaluation& answer, std::int64_t all) {
  if (answer.cut->layout.empty()) return static_cast<double>(all);
  double found = 0;
  std::int64_t chunk = 0;
  for (const char c : answer.cut->layout) {
    if (c == '|') ++chunk;
    if (c == item && chunk % answer.parallelism.pp == answer.busiest_stage) ++found;
  }
  return found;
}

// `m`: how often the lists of `context` run in a step.
std::vector<Repeated> training_steps(const Scenario& s, const TrainWorkload& train, const TrainEvaluation& answer,
                                     const DecoderContext& context, double m) {
  std::vector<Repeated> list;
  const auto add = [&](Step forward, Step backward, const std::string& where, double times) {
    if (times <= 0) return;
    list.push_back({std::move(forward), where, times * m});
    list.push_back({std::move(backward), where, times * m});
  };
  const auto stage = static_cast<std::size_t>(answer.busiest_stage);
  const double mtp = items_on_stage('m', answer, train.mtp_layers);
  for (std::size_t k = 0; k < s.model.kinds.size(); ++k) {
    const bool in_mtp = mtp > 0 && static_cast<int>(k) == s.model.mtp_layers[0];
    add(layer_forward(context, s.model.kinds[k]), layer_backward(context, s.model.kinds[k]), place(s.model.kinds[k]),
        answer.cut->stage_layers[stage][k] + (in_mtp ? mtp : 0));
  }
  add(embedding_forward(context), embedding_backward(context), "embedding", items_on_stage('E', answer, 1));
  add(head_forward(context), head_backward(context), "head", items_on_stage('L', answer, 1) + mtp);
  add(mtp_forward(context), mtp_backward(context), "MTP", mtp);
  return list;
}

// Equal ops of one place, such as the norms of a layer, stay apart only if their work differs in time.
template <class Price>
void collect(std::vector<OpExplanation>& list, const Repeated& repeated, const Price& price) {
  for (const Op& op : repeated.step) {
    OpExplanation next{.name = std::string(op.name),
                       .group = std::string(op.group),
                       .where = repeated.where,
                       .phase = repeated.phase.empty() ? name(op.phase) : repeated.phase,
                       .work = op.work,
                       .cost = price(op.work),
                       .times = repeated.times};
    const auto same = std::find_if(list.begin(), list.end(), [&](const OpExplanation& other) {
      return other.name == next.name && other.group == next.group && other.where == next.where &&
             other.phase == next.phase && other.cost.time == next.cost.time;
    });
    if (same != list.end()) {
      same->times += next.times;
    } else {
      list.push_back(std::move(next));
    }
  }
}

void sort_and_cut(std::vector<OpExplanation>& list, std::size_t most) {
  std::stable_sort(list.begin(), list.end(),
                   [](const OpExplanation& a, const OpExplanation& b) { return a.total() > b.total(); });
  if (list.size() > most) list.resize(most);
}

std::vector<OpExplanation> explained_on_gpu(const Question& question, const Evaluation& evaluation, std::size_t most) {
  Scenario s = question.scenario;
  std::vector<std::string> notes;
  MOELINE_EXPECT(!resolve(s.parallelism, s.cluster.devices, s.model) && !legalise(s.recipe, s.cluster.device, notes));
  // The question's machine, not the copy's: bound_by keeps views of its tier names.
  const Cluster& cluster = question.scenario.cluster;
  const Machine machine{std::get<Gpu>(cluster.device), cluster.fabric, question.calibration};
  const auto price = [&](const Work& work) { return cost(work, machine); };
  std::vector<OpExplanation> list;
  if (const TrainEvaluation* answer = std::get_if<TrainEvaluation>(&evaluation.answer)) {
    const TrainWorkload train = answered(std::get<TrainWorkload>(s.workload), *answer);
    const DecoderContext context{s.model,
                                 s.parallelism,
                                 s.recipe,
                                 s.routing,
                                 static_cast<double>(train.micro_batch),
                                 static_cast<double>(train.sequence),
                                 train};
    const double m = static_cast<double>(answer->micro_batches);
    for (const Repeated& step : training_steps(s, train, *answer, context, m)) collect(list, step, price);
  } else {
    const LayerQuestion layer = layer_question(s, std::get<LayerWorkload>(s.workload));
    const DecoderContext context{s.model,    s.parallelism,   s.recipe,
                                 s.routing,  layer.sequences, static_cast<double>(layer.train.sequence),
                                 layer.train};
    collect(list, {layer_forward(context, *layer.kind), place(*layer.kind), 1}, price);
    collect(list, {layer_backward(context, *layer.kind), place(*layer.kind), 1}, price);
  }
  sort_and_cut(list, most);
  for (OpExplanation& op : list) std::visit(Explain{machine, op}, op.work);
  return list;
}

// Of a token: an iteration shared by those that a round of speculation yields.
std::vector<OpExplanation> explained_decoding(const Question& question, const ServeEvaluation& answer, std::size_t most) {
  const Scenario& s = question.scenario;
  const ServingSteps steps(s, std::get<ServeWorkload>(s.workload).decode.layout, question.calibration, question.conduct);
  const Machine& machine = steps.machine();
  std::vector<OpExplanation> list;
  for (RepeatedStep& some : steps.lists(answer.iteration)) {
    const bool ends = some.step.size() > 1;
    const std::string where = some.kind != nullptr ? place(*some.kind) : ends ? "embedding and head" : "stages";
    const double times = some.times / (answer.round ? answer.round->tokens : 1);
    collect(list, {std::move(some.step), where, times}, [&](const Work& work) { return cost(work, machine); });
  }
  sort_and_cut(list, most);
  for (OpExplanation& op : list) std::visit(Explain{machine, op}, op.work);
  return list;
}

// What backward computes once more of every layer: its inside, and inputs that were not kept.
double computed_again(const Scenario& s, const WaferAnswer& wafer) {
  const double inside = wafer.plan.keep_internals ? 0 : 1;
  if (wafer.plan.keep != KeepInputs::recompute) return inside;
  return inside + 1 - 1 / recompute_stretch(static_cast<double>(s.model.layers.size()));
}

// Lists of one sequence on one system, or of the layer's tokens.
std::vector<Repeated> wafer_steps(const Scenario& s, const Evaluation& evaluation) {
  const TrainEvaluation* answer = std::get_if<TrainEvaluation>(&evaluation.answer);
  if (answer == nullptr) {
    const LayerEvaluation& layer = std::get<LayerEvaluation>(evaluation.answer);
    const LayerQuestion asked = layer_question(s, std::get<LayerWorkload>(s.workload));
    const Parallelism one;
    const DecoderContext context{s.model,         one,
                                 s.recipe,        s.routing,
                                 asked.sequences, static_cast<double>(asked.train.sequence),
                                 asked.train};
    const std::string where = place(*asked.kind);
    return {{layer_forward(context, *asked.kind), where, 1},
            {layer_forward(context, *asked.kind), where, computed_again(s, *layer.wafer), "recompute"},
            {layer_backward(context, *asked.kind), where, 1}};
  }
  const TrainWorkload& train = std::get<TrainWorkload>(s.workload);
  const WaferStep step(s, train, train.wafer.conduct);
  const double sequences = static_cast<double>(train.global_batch / s.cluster.devices);
  std::vector<Repeated> list = training_steps(s, train, *answer, step.context(), sequences);
  const double again = computed_again(s, *answer->wafer);
  for (std::size_t i = 0, all = list.size(); i < all; ++i) {
    if (list[i].where.ends_with("layer") && list[i].step.front().phase == Phase::forward)
      list.push_back({list[i].step, list[i].where, again * list[i].times, "recompute"});
  }
  return list;
}

std::vector<OpExplanation> explained_on_wafer(const Question& question, const Evaluation& evaluation,
                                              std::size_t most) {
  const Scenario& s = question.scenario;
  const auto conduct_of = [](const auto& workload) {
    if constexpr (requires { workload.wafer; }) return workload.wafer.conduct;
    return WaferConduct{};
  };
  const WaferConduct conduct = std::visit(conduct_of, s.workload);
  const CoreArray array{std::get<Wafer>(s.cluster.device), conduct};
  std::vector<OpExplanation> list;
  for (const Repeated& step : wafer_steps(s, evaluation)) {
    if (step.times > 0) collect(list, step, [&](const Work& work) { return cost(work, array); });
  }
  sort_and_cut(list, most);
  for (OpExplanation& op : list) {
    const bool cores = op.cost.flops > Flops{};
    op.formula = cores ? "flops / (achieved share x peak of the cores)" : "bytes / SRAM bandwidth";
    op.terms = {flops_term(op.cost.flops), bytes_term("bytes", op.cost.bytes),
                count("achieved_share", cores ? conduct.efficiency : 0), seconds(cores ? "cores" : "SRAM", op.cost.time)};
  }
  return list;
}

}  // namespace

std::vector<OpExplanation> explained_ops(const Question& question, const Evaluation& evaluation, std::size_t most) {
  if (const ServeEvaluation* served = std::get_if<ServeEvaluation>(&evaluation.answer)) return explained_decoding(question, *served, most);
  const bool gpu = std::holds_alternative<Gpu>(question.scenario.cluster.device);
  return gpu ? explained_on_gpu(question, evaluation, most) : explained_on_wafer(question, evaluation, most);
}

std::vector<PassExplanation> explained_passes(const Evaluation& evaluation) {
  const auto wafer_of = [](const auto& answer) {
    if constexpr (requires { answer.wafer; }) return answer.wafer;
    return std::optional<WaferAnswer>{};
  };
  const std::optional<WaferAnswer> wafer = std::visit(wafer_of, evaluation.answer);
  std::vector<PassExplanation> list;
  if (!wafer) return list;
  for (const WaferPass& pass : wafer->passes) {
    const PassTerms& t = pass.terms;
    list.push_back({pass.where,
                    pass.phase,
                    t.bound_by(),
                    t.time(),
                    pass.times,
                    "max(weights in + inputs back, gradients out + inputs out, compute) + fixed",
                    {bytes_term("weights", pass.load.weights_in), seconds("weights_in", t.weights_in),
                     seconds("inputs_back", t.inputs_in), seconds("gradients_out", t.gradients_out),
                     seconds("inputs_out", t.inputs_out), seconds("compute", t.compute), seconds("fixed", t.overhead)}});
  }
  return list;
}

}  // namespace moeline
