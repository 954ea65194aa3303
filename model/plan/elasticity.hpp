// What would change the answer? Every numeric input, moved a little; every part, taken away.
//
//   elasticity  e = d ln t / d ln x = [ln t(x e^h) - ln t(x e^-h)] / 2h     central, h = 1e-3; neighbours for integers
//   effect      t(1.1 x) / t(x) - 1                                         of +10 %, evaluated, not extrapolated
// t is the step (forward plus backward for a layer, TPOT of serving), with the pipeline cut and the calibration held as
// they are. With datasheet bounds alone t is homogeneous: all rates times c divide it by c, so by Euler the elasticities
// of the rates less those of the latencies add up to -1. Launch overheads and fixed times of a fit count as one more
// latency; so does the software around a served model, and the rate at which its requests come as one more rate.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plan/evaluate.hpp"
#include "plan/serving/stack.hpp"

namespace moeline {

// What is asked, ready to be varied: the pipeline cut written out, nothing left to echo.
struct Question {
  Scenario scenario;
  Calibration calibration;
  std::optional<WaferOptions> wafer_asked{};  // how the scenario asked a wafer to cut its batch
  StackConduct conduct{};                     // of the software around a served model
};
// `evaluation` is the answer to the scenario; it says how the pipeline, or a wafer's batch, was cut.
Question varied_question(const Scenario& scenario, const Calibration& calibration, const Evaluation& evaluation);

// Step time; forward plus backward of a layer; TPOT of serving.
Seconds answer_time(const Evaluation& evaluation);
std::optional<Seconds> answer_time(const Question& question, std::vector<std::string_view> free = {});

// By what the time is bound: shares of its exposed seconds, largest first. Of a deployment its token; the first one apart.
struct Holder {
  std::string bound_by;  // "HBM"
  double share = 0;
};
std::vector<Holder> held_by(const Evaluation& evaluation);
std::vector<Holder> first_token_held_by(const ServeEvaluation& served);

// assumption: a constant of the model that nothing published measures, not a fact of the machine.
enum class InputKind { rate, latency, count, assumption, workload };
std::string_view name(InputKind kind);

struct Input {
  std::string name, pointer;  // "HBM bandwidth", "/hardware/device/hbm_bandwidth"
  std::string value;          // "4.8 TB/s"
  InputKind kind = InputKind::rate;
  std::function<void(Question&, double)> scale{};      // continuous ones: times a factor
  double step = 1e-3;                                  // of the central difference, in ln x
  double now = 0;                                      // the others: this value,
  std::vector<double> neighbours{};                    // those beside it,
  std::function<void(Question&, double)> set{};        // and how to take one
};
std::vector<Input> inputs_of(const Question& question);
// A whole number of what is asked, at half and at twice its value.
Input halved_and_doubled(std::string name, std::string pointer, std::int64_t value, std::function<void(Question&, std::int64_t)> set);

// Relative changes of TTFT, where an answer has one.
struct FirstToken {
  double elasticity = 0, effect = 0;
};

// Inputs that are asked at other values: what each neighbour gives.
struct Neighbour {
  double value = 0;
  double time_change = 0, throughput_change = 0;  // relative; throughput in tokens per second
  std::optional<double> ttft_change{};
};
struct RefusedNeighbour {
  double value = 0;
  std::string reason;
};

struct Elasticity {
  Input input;
  double elasticity = 0;  // of the time
  double effect = 0;      // relative change of the time: +10 %, or the last neighbour's
  std::vector<Neighbour> neighbours{};
  std::vector<RefusedNeighbour> refused{};  // those that cannot run
  std::optional<FirstToken> first{};
};
// Ranked by the size of the effect; workload inputs last, because they change what is asked.
std::vector<Elasticity> elasticities(const Question& question);
// Effects of rates and latencies alone, one evaluation each: quick enough to stand beside every answer.
std::vector<Elasticity> effects(const Question& question);

// The time if one thing took none: a breakdown group, a tier, the memory, the launches.
struct Free {
  std::string name;
  std::string kind;  // "group", "tier", "memory", "tensor cores", "overhead"; of wafers "cores", "streams"
  Seconds time;
  double change = 0;  // relative to the answer
  std::vector<Holder> held_by{};  // what binds then
  std::optional<double> ttft_change{};
};
std::vector<Free> without_each(const Question& question, const Evaluation& evaluation);

}  // namespace moeline
