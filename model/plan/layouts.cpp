#include "plan/layouts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "plan/training/step_rules.hpp"
#include "plan/training/train.hpp"

namespace moeline {
namespace {

const std::vector<std::string> kFields{"tp", "pp",   "vpp",      "ep",          "etp",      "cp",
                                       "dp", "zero", "schedule", "micro_batch", "recompute"};

std::vector<std::int64_t> divisors(std::int64_t number) {
  std::vector<std::int64_t> list;
  for (std::int64_t d = 1; d * d <= number; ++d) {
    if (number % d != 0) continue;
    list.push_back(d);
    if (d * d != number) list.push_back(number / d);
  }
  std::sort(list.begin(), list.end());
  return list;
}

// What a field that is no number takes; empty for numbers.
std::vector<std::string> words_of(const std::string& field) {
  std::vector<std::string> words;
  if (field == "recompute") {
    for (const Recomputation& recompute : kRecomputations) words.emplace_back(recompute.name);
  }
  if (field == "schedule") {
    for (const Schedule schedule : all_schedules()) words.emplace_back(name(schedule));
  }
  return words;
}

}  // namespace

Schedule schedule_named(const std::string& text) {
  for (const Schedule schedule : all_schedules()) {
    if (name(schedule) == text) return schedule;
  }
  throw SpecError("schedule", fmt::format("unknown value \"{}\"{}", text, did_you_mean(text, words_of("schedule"))));
}

FixedFields read_fixed(const std::vector<std::string>& texts, const std::string& where) {
  FixedFields fixed;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos)
      throw SpecError(where, fmt::format("\"{}\": expected name=value, such as pp=4", text));
    const std::string name = text.substr(0, equals), value = text.substr(equals + 1);
    if (std::find(kFields.begin(), kFields.end(), name) == kFields.end()) {
      throw SpecError(where, fmt::format("unknown name \"{}\"{}", name, did_you_mean(name, kFields)));
    }
    const std::vector<std::string> words = words_of(name);
    const bool digits =
        !value.empty() && value.size() < 10 && value.find_first_not_of("0123456789") == std::string::npos;
    if (words.empty() && (!digits || value[0] == '0') && !(name == "zero" && value == "0")) {
      throw SpecError(where, fmt::format("{}: \"{}\" is not a whole number above 0", name, value));
    }
    if (!words.empty() && std::find(words.begin(), words.end(), value) == words.end()) {
      throw SpecError(where, fmt::format("{}: unknown value \"{}\"{}", name, value, did_you_mean(value, words)));
    }
    if (!fixed.emplace(name, value).second) throw SpecError(where, fmt::format("\"{}\" is given twice", name));
  }
  return fixed;
}

LayoutSpace::LayoutSpace(const Scenario& scenario, FixedFields fixed, std::vector<Schedule> schedules)
    : scenario_(scenario), fixed_(std::move(fixed)), schedules_(std::move(schedules)), devices_(scenario.cluster.devices),
      near_(scenario.cluster.fabric[0].span.value), layers_(static_cast<std::int64_t>(scenario.model.layers.size())) {
  for (const LayerKind& kind : scenario.model.kinds) {
    if (const MoeFfn* moe = std::get_if<MoeFfn>(&kind.ffn)) experts_ = moe->experts;
  }
  if (fixed_.contains("schedule")) schedules_ = {schedule_named(fixed_["schedule"])};
}

bool LayoutSpace::free(const std::string& field, std::int64_t value) const { return fixed_.empty() || free(field, std::to_string(value)); }
bool LayoutSpace::free(const std::string& field, std::string_view value) const {
  const auto found = fixed_.find(field);
  return found == fixed_.end() || found->second == value;
}

// A pipeline of one stage has nothing to order.
std::vector<LayoutSpace::Order> LayoutSpace::orders(std::int64_t pp) const {
  std::vector<Order> list;
  for (const Schedule schedule : schedules_) {
    if (pp == 1 && schedule != Schedule::one_f_one_b) continue;
    const bool interleaved = schedule == Schedule::interleaved;
    const std::int64_t fewest = interleaved || is_folded(schedule) ? 2 : 1, most = (layers_ + 2) / pp;
    for (std::int64_t v = fewest; v <= (interleaved ? most : std::min(fewest, most)); ++v) {
      const bool even = layers_ % (pp * v) == 0 || (layers_ + 2) % (pp * v) == 0;
      if ((even || !interleaved) && free("vpp", v)) list.push_back({schedule, v});
    }
  }
  return list;
}

std::vector<LayoutFamily> LayoutSpace::families() const {
  std::vector<LayoutFamily> list;
  for (const std::int64_t tp : divisors(devices_)) {
    if (tp > near_ || !free("tp", tp)) continue;
    for (const std::int64_t cp : divisors(devices_ / tp)) {
      if (!free("cp", cp)) continue;
      for (const std::int64_t ep : divisors(experts_)) {
        if (!free("ep", ep)) continue;
        for (const std::int64_t etp : experts_ > 1 ? divisors(devices_) : std::vector<std::int64_t>{1}) {
          if (etp > near_ || !free("etp", etp)) continue;
          for (const std::int64_t micro_batch : {1, 2, 4, 8, 16}) {
            if (!free("micro_batch", micro_batch)) continue;
            for (const Recomputation& recompute : kRecomputations) {
              if (free("recompute", recompute.name)) list.push_back({tp, cp, ep, etp, micro_batch, &recompute});
            }
          }
        }
      }
    }
  }
  return list;
}

std::vector<Layout> LayoutSpace::members(const LayoutFamily& f, ReasonCounts& refused) const {
  TrainWorkload train = std::get<TrainWorkload>(scenario_.workload);
  train.micro_batch = f.micro_batch;
  std::vector<Layout> list;
  for (const std::int64_t pp : divisors(devices_ / f.tp / f.cp)) {
    if (pp > layers_ + 2 || !free("pp", pp) || !free("dp", devices_ / f.tp / f.cp / pp)) continue;
    for (const auto& [schedule, vpp] : orders(pp)) {
      Parallelism p{.tp = f.tp, .pp = pp, .vpp = vpp, .ep = f.ep, .etp = f.etp, .cp = f.cp};
      p.schedule = schedule;
      std::optional<Infeasible> why = resolve(p, devices_, scenario_.model);
      if (!why) why = check_batch(p, train);
      std::uint64_t* const counted = why ? &refused[kind_of_reason(*why)] : nullptr;
      for (p.zero = 0; p.zero <= 3; ++p.zero) {
        if (!free("zero", p.zero)) continue;
        if (counted != nullptr) {
          ++*counted;
        } else {
          list.push_back({p, f.micro_batch, f.recompute});
        }
      }
    }
  }
  return list;
}

TrainWorkload workload_of(const Scenario& scenario, const Layout& layout) {
  TrainWorkload train = with(std::get<TrainWorkload>(scenario.workload), *layout.recompute);
  train.micro_batch = layout.micro_batch;
  train.pipeline_layout.clear();
  if (!train.overlap_given) train.overlap = default_overlap(scenario.cluster, layout.parallelism, scenario.recipe);
  if (!train.transport_given) train.transport = default_transport(scenario.cluster, layout.parallelism);
  return train;
}

std::string kind_of_reason(const Infeasible& why) {
  if (why.need) return why.reason.substr(0, why.reason.find(':'));
  std::string kind;
  for (const char c : why.reason) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit) kind += c;
    if (digit && (kind.empty() || kind.back() != 'N')) kind += 'N';
  }
  return kind;
}

}  // namespace moeline
