#include "plan/what_fits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "plan/training/train.hpp"

namespace moeline {
namespace {

struct Change {
  std::string label;
  std::function<void(Scenario&)> apply;
  int kind;  // two of one kind exclude each other
};

std::vector<Change> changes(const Scenario& s) {
  const TrainWorkload& train = std::get<TrainWorkload>(s.workload);
  const Parallelism& p = s.parallelism;
  std::vector<Change> list;
  const auto workload = [](Scenario& x) -> TrainWorkload& { return std::get<TrainWorkload>(x.workload); };
  if (train.recompute_given && !train.full_recompute) {
    list.push_back({"recompute full", [workload](Scenario& x) { workload(x).full_recompute = true; }, 0});
  }
  if (train.moment == DType::fp32) {
    list.push_back({"moments in bf16 (adam_bf16_states)", [workload](Scenario& x) { workload(x).moment = DType::bf16; }, 1});
  }
  for (int zero = p.zero + 1; zero <= 3; ++zero) {
    list.push_back({fmt::format("zero {} -> {}", p.zero, zero), [zero](Scenario& x) { x.parallelism.zero = zero; }, 2});
  }
  int kind = 3;
  for (const auto& [name, degree] : {std::pair{"ep", &Parallelism::ep}, std::pair{"pp", &Parallelism::pp},
                                     std::pair{"tp", &Parallelism::tp}, std::pair{"cp", &Parallelism::cp}}) {
    const std::int64_t now = p.*degree;
    for (const std::int64_t times : {2, 4, 8, 16}) {
      list.push_back({fmt::format("{} {} -> {}", name, now, times * now),
                      [degree = degree, now, times](Scenario& x) {
                        x.parallelism.*degree = times * now;
                        x.parallelism.requested_dp.reset();
                        std::get<TrainWorkload>(x.workload).pipeline_layout.clear();
                      },
                      kind});
    }
    ++kind;
  }
  if (train.micro_batch % 2 == 0) {
    list.push_back({fmt::format("micro_batch {} -> {}", train.micro_batch, train.micro_batch / 2),
                    [workload](Scenario& x) { workload(x).micro_batch /= 2; }, kind});
  }
  return list;
}

std::optional<Bytes> fits(const Scenario& s, TrainingSteps& steps) {
  const StepAnswer answer = evaluate_step(s, steps);
  if (const TrainEvaluation* runs = std::get_if<TrainEvaluation>(&answer)) return runs->memory.total();
  return std::nullopt;
}

}  // namespace

std::vector<FittingChange> what_fits(const Scenario& s, const Calibration& calibration, std::size_t most) {
  if (!std::holds_alternative<Gpu>(s.cluster.device) || !std::holds_alternative<TrainWorkload>(s.workload)) return {};
  TrainingSteps steps(s.cluster, s.model, calibration);
  const std::vector<Change> all = changes(s);
  std::vector<FittingChange> found;
  for (std::size_t i = 0; i < all.size(); ++i) {
    Scenario one = s;
    all[i].apply(one);
    if (const auto need = fits(one, steps)) found.push_back({all[i].label, *need});
  }
  for (std::size_t i = 0; found.empty() && i < all.size(); ++i) {
    for (std::size_t j = i + 1; j < all.size(); ++j) {
      if (all[i].kind == all[j].kind) continue;
      Scenario both = s;
      all[i].apply(both);
      all[j].apply(both);
      if (const auto need = fits(both, steps)) found.push_back({all[i].label + " and " + all[j].label, *need});
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const FittingChange& a, const FittingChange& b) { return a.need > b.need; });
  if (found.size() > most) found.resize(most);
  return found;
}

}  // namespace moeline
