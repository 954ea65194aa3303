// Does every equation that is printed, with the numbers printed beside it, come to the time of its op?
#include <catch2/catch.hpp>
#include <algorithm>
#include <map>
#include <set>

#include "fit/calibration_file.hpp"
#include "plan/op_terms.hpp"
#include "scenarios.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

// sum, product and quotient of names, max(...) and parentheses, up to a comma outside of them.
class Arithmetic {
 public:
  Arithmetic(const Formula& formula) : text_(formula.text) {
    for (const Term& term : formula.terms) values_[term.name] = term.value;
  }
  double value() {
    const double result = sum();
    if (at_ < text_.size() && text_[at_] != ',') FAIL("cannot read \"" << text_ << "\" from \"" << text_.substr(at_) << "\"");
    return result;
  }

 private:
  bool takes(std::string_view what) {
    if (!std::string_view(text_).substr(at_).starts_with(what)) return false;
    at_ += what.size();
    return true;
  }
  double sum() {
    double result = product();
    while (takes(" + ")) result += product();
    return result;
  }
  double product() {
    double result = factor();
    while (takes(" x ")) result *= factor();
    return result;
  }
  double factor() {
    if (takes("(")) return closed(sum());
    if (takes("max(")) {
      double result = sum();
      while (takes(", ")) result = std::max(result, sum());
      return closed(result);
    }
    const std::size_t end = std::min(text_.find_first_of(" ,()", at_), text_.size());
    const std::string name = text_.substr(at_, end - at_);
    at_ = end;
    INFO("\"" << name << "\" of \"" << text_ << "\"");
    CHECK(values_.contains(name));
    return values_[name];
  }
  double closed(double value) {
    CHECK(takes(")"));
    return value;
  }

  std::string text_;
  std::size_t at_ = 0;
  std::map<std::string, double> values_;
};

Trial layer() {
  return Trial(R"({"model": "deepseek-v3", "hardware": "b200-sxm", "devices": 8, "recipe": "mxfp8", "parallelism": {"ep": 8},
      "workload": {"kind": "layer", "tokens": 4096}})");
}
Trial fused() { return layer().with({"/recipe={\"base\": \"mxfp8\", \"megakernel\": true}"}); }
Trial linear() {
  return Trial(R"({"model": "qwen3-next-80b-a3b", "hardware": "h200-sxm", "parallelism": {"tp": 4, "ep": 4},
      "workload": {"kind": "serve", "input": 2048, "output": 256, "concurrency": 16}})");
}
Trial latent() {
  return Trial(R"({"model": "deepseek-v3", "hardware": "h200-sxm", "devices": 16, "parallelism": {"tp": 16, "ep": 16},
      "workload": {"kind": "serve", "input": 20000, "output": 512, "concurrency": 64, "attention_dp": true, "transport": "deepep", "stack": "sglang"}})");
}
Trial guessed() {
  return served().with({"/speculation={\"kind\": \"sd\", \"draft\": \"ngram\", \"acceptance\": 0.8, \"draft_tokens\": 3}"});
}
Trial wafer() {
  return Trial(R"({"model": {"base": "qwen3-30b-a3b", "num_hidden_layers": 8}, "hardware": "cs-3", "devices": 4,
      "workload": {"kind": "train", "sequence": 4096, "global_batch": 508, "wafer": {"mode": "streaming"}}})");
}

}  // namespace

TEST_CASE("every equation, with its numbers, comes to the time of its op", "[property]") {
  std::set<std::string> equations;
  for (const Trial& trial : {small(), fine_grained(), layer(), fused(), served(), served_at_a_rate(), linear(), latent(), guessed(), wafer()}) {
    for (const bool fitted : {false, true}) {
      std::string note;
      const Calibration fits = fitted ? calibration_named("auto", trial.scenario().cluster, note, true) : Calibration{};
      const Outcome outcome = evaluate(trial.scenario(), fits);
      REQUIRE(std::holds_alternative<Evaluation>(outcome));
      const Evaluation& evaluation = std::get<Evaluation>(outcome);
      const std::vector<OpExplanation> ops = explained_ops(varied_question(trial.scenario(), fits, evaluation), evaluation, 1000);
      REQUIRE(ops.size() > 10);
      for (const OpExplanation& op : ops) {
        INFO(op.group << ": " << op.name << ": " << op.formula.text);
        CHECK_THAT(Arithmetic(op.formula).value(), WithinRel(op.cost.time.in(second), 1e-9));  // rounding of the same sums
        equations.insert(op.formula.text.substr(0, op.formula.text.find(", by ")));
      }
      for (const PassExplanation& pass : explained_passes(evaluation))
        CHECK_THAT(Arithmetic(pass.formula).value(), WithinRel(pass.time.in(second), 1e-9));  // rounding of the same sums
    }
  }
  CHECK(equations.size() >= 12);
}
