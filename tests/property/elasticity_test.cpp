// Do the elasticities obey dimensional analysis, and does what is shown add up?
#include "plan/elasticity.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <map>

#include "fit/calibration_file.hpp"
#include "plan/neighbours.hpp"
#include "plan/op_terms.hpp"
#include "plan/serving/serve.hpp"
#include "scenarios.hpp"

using namespace moeline;
using Catch::WithinAbs;
using Catch::WithinRel;

namespace {

Question question(const Trial& trial) { return varied_question(trial.scenario(), Calibration{}, trial.evaluation()); }

// A pipeline, so that bubbles and transfers are there too.
Trial piped() {
  return small().with({"/parallelism/pp=2", "/parallelism/tp=2", "/parallelism/ep=4",
                       "/hardware/device/sparse_peak/bf16=9000 TFLOP/s"});
}

// A wafer whose streams show, and whose fixed costs are there.
Trial streamed() {
  return Trial(R"({"model": {"base": "qwen3-30b-a3b", "num_hidden_layers": 8}, "hardware": "cs-3", "devices": 4,
      "workload": {"kind": "train", "sequence": 4096, "global_batch": 508,
                   "wafer": {"mode": "streaming", "tile_overhead": "50 us", "keep_inputs": "recompute"}}})");
}

// Every exchange and every host time, so that all inputs of serving are seen.
Trial served_apart() {
  return served_at_a_rate().with({"/workload/mode=disaggregated", "/workload/prefill={\"workers\": 1, \"tp\": 4, \"ep\": 4}",
                                  "/workload/decode={\"workers\": 1, \"tp\": 4, \"ep\": 4, \"attention_dp\": true}", "/workload/transport=deepep"});
}

double of(const std::vector<Elasticity>& list, const std::string& name) {
  for (const Elasticity& e : list) {
    if (e.input.name == name) return e.elasticity;
  }
  FAIL("no input " << name);
  return 0;
}

}  // namespace

TEST_CASE("all rates times c divide a step of bounds by c", "[property]") {
  for (const Trial& trial : {small(), fine_grained(), piped(), streamed()}) {
    const Question base = question(trial);
    Question faster = base;
    for (const Input& input : inputs_of(base)) {
      if (input.kind == InputKind::rate) input.scale(faster, 3);
      if (input.kind == InputKind::latency) input.scale(faster, 1.0 / 3);
    }
    CHECK_THAT(answer_time(faster)->in(second), WithinRel(trial.seconds() / 3, 1e-9));
  }
}

TEST_CASE("all rates times c, that of requests too, divide a served token and the first one by c", "[property]") {
  for (const Trial& trial : {served(), served_at_a_rate(), served_apart(), served().with({"/workload/cuda_graph=false"})}) {
    const Question base = question(trial);
    Question faster = base;
    for (const Input& input : inputs_of(base)) {
      if (input.kind == InputKind::rate) input.scale(faster, 3);
      if (input.kind == InputKind::latency) input.scale(faster, 1.0 / 3);
      if (input.name == "request_rate") input.set(faster, 3 * input.now);
    }
    const Outcome outcome = evaluate_serve(faster.scenario, faster.calibration, {}, faster.conduct);
    const ServeEvaluation& then = std::get<ServeEvaluation>(std::get<Evaluation>(outcome).answer);
    // The steady state is solved to 1e-12; a waiting line magnifies that.
    CHECK_THAT(then.tpot.value.in(second), WithinRel(trial.serve().tpot.value.in(second) / 3, 1e-9));
    CHECK_THAT(then.ttft.value.in(second), WithinRel(trial.serve().ttft.value.in(second) / 3, 1e-9));
  }
}

TEST_CASE("elasticities of a served token add up to minus one, and so do those of the first", "[property]") {
  double token = 0, first = 0;
  for (const Elasticity& e : elasticities(question(served()))) {
    const double sign = e.input.kind == InputKind::rate ? 1 : e.input.kind == InputKind::latency ? -1 : 0;
    token += sign * e.elasticity;
    REQUIRE(e.first);
    first += sign * e.first->elasticity;
  }
  CHECK_THAT(token, WithinAbs(-1, 1e-3));  // a central difference over 0.1 % in each
  CHECK_THAT(first, WithinAbs(-1, 1e-3));
}

TEST_CASE("elasticities of rates less those of latencies add up to minus one", "[property]") {
  for (const Trial& trial : {small(), fine_grained(), piped(), streamed()}) {
    double sum = 0;
    for (const Elasticity& e : elasticities(question(trial))) {
      if (e.input.kind == InputKind::rate) sum += e.elasticity;
      if (e.input.kind == InputKind::latency) sum -= e.elasticity;
    }
    CHECK_THAT(sum, WithinAbs(-1, 1e-3));  // a central difference over 0.1 % in each
  }
}

TEST_CASE("no elasticity of a rate helps by more than its share, nor hurts", "[property]") {
  for (const Elasticity& e : elasticities(question(small()))) {
    INFO(e.input.name);
    if (e.input.kind == InputKind::rate) CHECK((e.elasticity <= 1e-9 && e.elasticity >= -1));
    if (e.input.kind == InputKind::latency) CHECK((e.elasticity >= -1e-9 && e.elasticity <= 1));
    if (e.input.kind == InputKind::rate) CHECK(e.effect <= 1e-9);
  }
}

TEST_CASE("twice the batch takes twice the time where every part repeats with it", "[property]") {
  // 64 -> 128 sequences: everything but the reduction, optimiser and gather doubles.
  const double e = of(elasticities(question(small())), "global_batch");
  CHECK(e > 0.5);
  CHECK(e < 1);
}

TEST_CASE("a part that takes no time leaves no more than the step without it", "[property]") {
  const Trial trial = small();  // one lane after the other: exposed times are exact
  for (const Free& f : without_each(question(trial), trial.evaluation())) {
    INFO(f.name);
    CHECK(f.time <= trial.train().step.value * (1 + 1e-12));
    if (f.kind == "group" && f.name != "dispatch and combine") {
      CHECK_THAT(f.time.in(second), WithinRel((trial.train().step.value - trial.exposed(f.name)).in(second), 1e-9));
    }
  }
}

TEST_CASE("the quick effects are those of the full list", "[property]") {
  const std::vector<Elasticity> full = elasticities(question(small()));
  for (const Elasticity& quick : effects(question(small()))) {
    for (const Elasticity& e : full) {
      if (e.input.name == quick.input.name) CHECK(e.effect == quick.effect);
    }
  }
}

TEST_CASE("the pipeline, and a wafer's batch, keep their cut while inputs are varied", "[property]") {
  CHECK_FALSE(piped().train().cut->layout.empty());
  for (const Trial& trial : {piped(), streamed()}) CHECK(answer_time(question(trial)) == trial.train().step.value);
}

TEST_CASE("the passes of a wafer and what happens once a step add up to the step", "[property]") {
  const Trial trial = streamed();
  Seconds sum = trial.exposed("fill") + trial.exposed("drain") + trial.exposed("optimizer");
  for (const PassExplanation& pass : explained_passes(trial.evaluation())) {
    std::map<std::string, double> term;
    for (const Term& t : pass.terms) term[t.name] = t.value;
    const double in = term["weights_in"] + term["inputs_back"], out = term["gradients_out"] + term["inputs_out"];
    CHECK_THAT(pass.time.in(second), WithinRel(std::max({in, out, term["compute"]}) + term["fixed"], 1e-9));
    sum += pass.times * pass.time;
  }
  CHECK_THAT(sum.in(second), WithinRel(trial.seconds(), 1e-9));
}

TEST_CASE("a part of a wafer that takes no time saves at most what it takes, and something if it shows", "[property]") {
  const Trial trial = streamed();
  const std::vector<Free> parts = without_each(question(trial), trial.evaluation());
  CHECK(parts.size() > 10);
  for (const Free& f : parts) {
    INFO(f.name);
    CHECK(f.time <= trial.train().step.value * (1 + 1e-12));
    if (f.kind != "group") continue;
    Seconds shown, all;
    for (const BreakdownRow& row : trial.train().breakdown.rows()) {
      if (row.name == f.name) shown += row.exposed, all += row.seconds;
    }
    CHECK(f.time >= trial.train().step.value - all - 1e-9 * all);
    if (shown > 1e-3 * trial.train().step.value) CHECK(f.change < 0);
  }
}

TEST_CASE("explained ops add up to the rows of the breakdown", "[property]") {
  for (const Trial& trial : {small(), fine_grained(), piped(), streamed()}) {
    const std::vector<OpExplanation> ops = explained_ops(question(trial), trial.evaluation(), 1000);
    for (const BreakdownRow& row : trial.train().breakdown.rows()) {
      Seconds sum;
      for (const OpExplanation& op : ops) {
        if (op.group == row.name && op.phase == row.phase) sum += op.total();
      }
      INFO(row.name << " " << row.phase);
      if (sum > Seconds{}) CHECK_THAT(sum.in(second), WithinRel(row.seconds.in(second), 1e-9));
    }
    REQUIRE_FALSE(ops.empty());
    CHECK(ops.front().total() >= ops.back().total());
  }
}

TEST_CASE("explained ops of a token add up to the rows of its breakdown, and those with waits and host to its time", "[property]") {
  const Trial rounds = served().with({"/speculation={\"kind\": \"sd\", \"draft\": \"ngram\", \"acceptance\": 0.8, \"draft_tokens\": 3}"});
  for (const Trial& trial : {served(), served_at_a_rate(), served_apart().with({"/workload/two_batch_overlap=true"}), rounds,
                             served().with({"/parallelism/pp=2", "/devices=8"})}) {
    const std::vector<OpExplanation> ops = explained_ops(question(trial), trial.evaluation(), 1000);
    double rest = 0, explained = 0;
    for (const BreakdownRow& row : trial.serve().breakdown.rows()) {
      if (row.phase != "decode") continue;
      Seconds sum;  // 1e-9 below: rounding, of products by layers and batches
      for (const OpExplanation& op : ops) {
        if (op.group == row.name) sum += op.total();
      }
      INFO(row.name);
      if (sum > Seconds{}) CHECK_THAT(sum.in(second), WithinRel(row.seconds.in(second), 1e-9));
      else CHECK((row.bound_by == "queue" || row.bound_by == "host" || row.bound_by == "draft"));
      (sum > Seconds{} ? explained : rest) += row.exposed.in(second);
    }
    CHECK_THAT(explained + rest, WithinRel(trial.serve().tpot.value.in(second), 1e-9));
    CHECK(explained > rest);
  }
}

TEST_CASE("the equations of a stack's kernels come to the times that priced them", "[property]") {
  const Trial trial = served_apart();
  std::string note;
  const Calibration fits = calibration_named("auto", trial.scenario().cluster, note, true);
  const Outcome outcome = evaluate(trial.scenario(), fits);
  const Evaluation& evaluation = std::get<Evaluation>(outcome);
  int kernels = 0;
  for (const OpExplanation& op : explained_ops(varied_question(trial.scenario(), fits, evaluation), evaluation, 1000)) {
    std::map<std::string, double> term;
    for (const Term& t : op.terms) term[t.name] = t.value;
    INFO(op.name << ": " << op.formula);
    const double time = op.cost.time.in(second);
    if (term.contains("elementwise")) {
      ++kernels;
      // Rounding: the same sum.
      CHECK_THAT(term["correction"] * (term["launch"] + term["up"] + term["down"] + term["elementwise"] + term["overhead"]), WithinRel(time, 1e-9));
      CHECK(term["up"] >= std::max(term["up_tensor"], term["up_memory"]));
    } else if (term.contains("walk")) {  // its maximum is rounded off
      ++kernels;
      const double fixed = term["launch"] + term["combine"] + term["ramp"] + term["queries"];
      CHECK(time >= term["correction"] * (fixed + std::max({term["tensor"], term["walk"], term["memory"]})) * (1 - 1e-9));
      CHECK(time <= term["correction"] * (fixed + term["tensor"] + term["walk"] + term["memory"]) * (1 + 1e-9));
    } else if (term.contains("wire")) {
      ++kernels;
      CHECK(time >= term["correction"] * (term["launch"] + std::max({term["multiprocessors"], term["link"], term["wire"]})) * (1 - 1e-9));
    }
  }
  CHECK(kernels >= 4);
}

TEST_CASE("a part of serving that takes no time saves a token at most what it takes", "[property]") {
  const Trial trial = served_apart();  // no token waits for prompts, so that nothing moves but the part and how many decode
  const std::vector<Free> parts = without_each(question(trial), trial.evaluation());
  CHECK(parts.size() > 10);
  for (const Free& f : parts) {
    INFO(f.name);
    CHECK(f.time <= trial.serve().tpot.value * (1 + 1e-9));
    CHECK(f.ttft_change);
    double held = 0;
    for (const Holder& h : f.held_by) held += h.share;
    CHECK_THAT(held, WithinRel(1.0, 1e-9));  // rounding of a sum of shares
  }
}

TEST_CASE("the equation of a product comes to the time that priced it", "[property]") {
  Calibration fit;  // every term present, no correction surface
  for (GemmFit* gemm : {&fit.gemm_bf16, &fit.gemm_fp8}) {
    gemm->launch = 3 * microsecond;
    gemm->leak = 0.2;
    gemm->expert = 0.1 * microsecond;
    gemm->split = 2 * microsecond;
  }
  const Trial trial = small();
  const Outcome outcome = evaluate(trial.scenario(), fit);
  const Evaluation& evaluation = std::get<Evaluation>(outcome);
  int products = 0;
  for (const OpExplanation& op : explained_ops(varied_question(trial.scenario(), fit, evaluation), evaluation, 1000)) {
    std::map<std::string, double> term;
    for (const Term& t : op.terms) term[t.name] = t.value;
    if (!term.contains("tile_m")) continue;
    ++products;
    INFO(op.name << ": " << op.formula);
    const double sum =
        term["launch"] + std::max(term["tensor"], term["memory"]) + term["leak"] + term["splitting"] + term["experts"];
    CHECK_THAT(term["correction"] * sum, WithinRel(op.cost.time.in(second), 1e-9));
  }
  CHECK(products > 10);
}

TEST_CASE("a layout beside this one answers as if it had been asked for", "[property]") {
  const Trial trial = small();
  const Json json =
      parse_json(R"({"model": {"base": "mixtral-8x7b", "num_hidden_layers": 8}, "hardware": "h100-sxm", "devices": 16,
      "recipe": "bf16", "parallelism": {"tp": 1, "pp": 1, "ep": 8},
      "workload": {"kind": "train", "sequence": 4096, "global_batch": 64, "micro_batch": 1, "overlap": [], "transport": "nccl"}})",
                 "trial.json");
  bool halved = false, refused = false;
  for (const LayoutNeighbour& n :
       layout_neighbours(json, "trial.json", trial.scenario(), Calibration{}, trial.train())) {
    if (n.change == "ep 8 -> 4") {
      halved = true;
      REQUIRE(n.time_change);
      CHECK_THAT(*n.time_change, WithinAbs(trial.with({"/parallelism/ep=4"}).seconds() / trial.seconds() - 1, 1e-12));
    }
    if (n.change == "ep 8 -> 16") {  // 8 experts
      refused = true;
      CHECK_FALSE(n.time_change);
      CHECK_THAT(n.obstacle, Catch::Contains("does not divide the 8 experts"));
    }
  }
  CHECK(halved);
  CHECK(refused);
}
