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
  const Trial apart = served().with({"/workload/mode=disaggregated", "/workload/prefill={\"workers\": 1}", "/workload/decode={\"workers\": 1}"});
  for (const Trial& trial : {served(), apart}) {
    double token = 0, first = 0;
    for (const Elasticity& e : elasticities(question(trial))) {
      const double sign = e.input.kind == InputKind::rate ? 1 : e.input.kind == InputKind::latency ? -1 : 0;
      token += sign * e.elasticity;
      REQUIRE((e.first || e.neighbours.empty()));
      if (sign != 0) first += sign * e.first->elasticity;
    }
    CHECK_THAT(token, WithinAbs(-1, 1e-3));  // a central difference over 0.1 % in each
    CHECK_THAT(first, WithinAbs(-1, 1e-3));
  }
}

TEST_CASE("a part taken away is the machine that has it for nothing, asked anew", "[property]") {
  const Trial trial = served(), free = trial.with({"/hardware/device/hbm_bandwidth=3350000000 TB/s"});  // 1e9 times its own
  for (const Free& f : without_each(question(trial), trial.evaluation())) {
    if (f.name != "HBM") continue;
    CHECK_THAT(f.time.in(second), WithinRel(free.serve().tpot.value.in(second), 1e-9));  // the same questions: rounding
    CHECK_THAT(1 + *f.ttft_change, WithinRel(free.serve().ttft.value / trial.serve().ttft.value, 1e-9));  // rounding
  }
}

TEST_CASE("drafts that cost nothing leave the time of verification", "[property]") {
  const Trial trial = served().with({"/speculation={\"kind\": \"sd\", \"draft\": \"llama-3.2-1b\", \"acceptance\": 0.7, \"draft_tokens\": 3}"});
  bool found = false;
  for (const Free& f : without_each(question(trial), trial.evaluation())) {
    if (f.name != "drafting") continue;
    found = true;
    CHECK(f.time < trial.serve().tpot.value);
    for (const Holder& h : f.held_by) CHECK((h.bound_by != "draft" || h.share == 0));
  }
  CHECK(found);
}

TEST_CASE("what holds the first token adds up to it", "[property]") {
  for (const Trial& trial : {served(), served_at_a_rate(), served_apart()}) {
    double sum = 0;
    for (const Holder& h : first_token_held_by(trial.serve())) sum += h.share;
    CHECK_THAT(sum, WithinRel(1.0, 1e-9));  // rounding of a sum of shares
  }
}

TEST_CASE("a value of an input that cannot run says why", "[property]") {
  bool found = false;
  for (const Elasticity& e : elasticities(question(small()))) {
    if (e.input.name != "experts") continue;
    found = true;
    REQUIRE(e.refused.size() == 1);  // ep 8 of 4 experts
    CHECK(e.refused.front().value == 4);
    CHECK_THAT(e.refused.front().reason, Catch::Contains("does not divide the 4 experts"));
    CHECK(e.neighbours.front().value == 16);
  }
  CHECK(found);
}

TEST_CASE("drafts that are kept more often give tokens sooner", "[property]") {
  const Trial trial = served().with({"/speculation={\"kind\": \"sd\", \"draft\": \"ngram\", \"acceptance\": 0.6, \"draft_tokens\": 3}"});
  const Trial better = trial.with({"/speculation/acceptance=0.7"});
  for (const Elasticity& e : elasticities(question(trial))) {
    if (e.input.name != "acceptance") continue;
    REQUIRE(e.neighbours.size() == 2);
    CHECK_THAT(1 + e.neighbours[1].time_change, WithinRel(better.serve().tpot.value / trial.serve().tpot.value, 1e-9));  // rounding
    CHECK(e.neighbours[0].time_change > 0);
    return;
  }
  FAIL("acceptance is no input");
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
    for (const Term& t : pass.formula.terms) term[t.name] = t.value;
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

TEST_CASE("explained ops of a token and of the first add up to the rows of their phase, and those with waits and host to its time", "[property]") {
  const Trial rounds = served().with({"/speculation={\"kind\": \"sd\", \"draft\": \"ngram\", \"acceptance\": 0.8, \"draft_tokens\": 3}"});
  for (const Trial& trial : {served(), served_at_a_rate(), served_apart().with({"/workload/two_batch_overlap=true"}), rounds,
                             served().with({"/parallelism/pp=2", "/devices=8"}), served().with({"/workload/input=20000", "/workload/concurrency=4"})}) {
    const std::vector<OpExplanation> ops = explained_ops(question(trial), trial.evaluation(), 1000);
    for (const auto& [phase, time] : {std::pair{"decode", trial.serve().tpot.value}, std::pair{"prefill", trial.serve().ttft.value}}) {
      double rest = 0, explained = 0;
      for (const BreakdownRow& row : trial.serve().breakdown.rows()) {
        if (row.phase != phase) continue;
        Seconds sum;  // 1e-9 below: rounding, of products by layers and batches
        for (const OpExplanation& op : ops) {
          if (op.group == row.name && op.phase == row.phase) sum += op.total();
        }
        INFO(phase << ": " << row.name);
        if (sum > Seconds{}) CHECK_THAT(sum.in(second), WithinRel(row.seconds.in(second), 1e-9));  // rounding of sums
        else CHECK((row.bound_by == "queue" || row.bound_by == "host" || row.bound_by == "draft" || row.name.starts_with("multiprocessors lent")));
        (sum > Seconds{} ? explained : rest) += row.exposed.in(second);
      }
      CHECK_THAT(explained + rest, WithinRel(time.in(second), 1e-9));  // rounding
      CHECK(explained > 0.2 * rest);
    }
  }
}

TEST_CASE("of a deployment as many ops of the first token as of the others are explained, each the longest of its phase", "[property]") {
  const std::vector<OpExplanation> ops = explained_ops(question(served()), served().evaluation(), 3);
  REQUIRE(ops.size() == 6);
  for (std::size_t i = 0; i < ops.size(); ++i) CHECK(ops[i].phase == (i < 3 ? "decode" : "prefill"));
  CHECK(ops[3].total() >= ops[5].total());
}

TEST_CASE("explained ops of a layer add up to its rows", "[property]") {
  const Trial trial(R"({"model": "mixtral-8x7b", "hardware": "h100-sxm", "devices": 8, "parallelism": {"ep": 8},
      "workload": {"kind": "layer", "tokens": 4096}})");
  const std::vector<OpExplanation> ops = explained_ops(question(trial), trial.evaluation(), 1000);
  Seconds rows, sum;
  for (const LayerRow& row : trial.layer().rows) rows += row.cost.time;
  for (const OpExplanation& op : ops) sum += op.total();
  CHECK_THAT(sum.in(second), WithinRel(rows.in(second), 1e-9));  // rounding of a sum over ops
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
    for (const Term& t : op.formula.terms) term[t.name] = t.value;
    INFO(op.name << ": " << op.formula.text);
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
    for (const Term& t : op.formula.terms) term[t.name] = t.value;
    if (!term.contains("tile_m")) continue;
    ++products;
    INFO(op.name << ": " << op.formula.text);
    const double sum =
        term["launch"] + std::max(term["tensor"], term["memory"]) + term["leak"] + term["splitting"] + term["experts"];
    CHECK_THAT(term["correction"] * sum, WithinRel(op.cost.time.in(second), 1e-9));
  }
  CHECK(products > 10);
}
