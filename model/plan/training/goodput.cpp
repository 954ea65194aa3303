#include "plan/training/goodput.hpp"

#include <cmath>

#include "error.hpp"

namespace moeline {

Seconds best_interval(Seconds checkpoint, Seconds between_failures) {
  const double r = checkpoint / (2 * between_failures);
  if (r >= 1) return between_failures;
  const double product = 2 * checkpoint.in(second) * between_failures.in(second);
  return std::sqrt(product) * (1 + std::sqrt(r) / 3 + r / 9) * second - checkpoint;
}

double effective_share(Seconds interval, Seconds checkpoint, Seconds restart, Seconds between_failures) {
  const double spent = std::exp(restart / between_failures) * std::expm1((interval + checkpoint) / between_failures);
  return interval / between_failures / spent;
}

Goodput goodput(const Scenario& s, const TrainEvaluation& answer) {
  const TrainWorkload& train = std::get<TrainWorkload>(s.workload);
  MOELINE_EXPECT(train.run.has_value());
  const LongRun& run = *train.run;
  const auto devices = static_cast<double>(s.cluster.devices);
  Goodput g;
  g.between_failures = run.device_mtbf / devices;
  g.checkpoint = static_cast<double>(parameters(s.model).main) / devices * (2 * byte + optimizer_bytes_per_parameter(train));
  g.checkpoint_time = run.checkpoint_time ? *run.checkpoint_time : g.checkpoint / *run.checkpoint_bandwidth;
  g.interval_given = run.checkpoint_interval.has_value();
  g.interval = g.interval_given ? *run.checkpoint_interval : best_interval(g.checkpoint_time, g.between_failures);
  g.effective = effective_share(g.interval, g.checkpoint_time, run.restart, g.between_failures);
  g.tokens_per_second = g.effective * answer.tokens_per_second;
  if (run.tokens > 0) {
    g.run = run.tokens / g.tokens_per_second * second;
    g.device_hours = devices * g.run->in(second) / 3600;
  }
  return g;
}

}  // namespace moeline
