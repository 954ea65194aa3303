#include "plan/layouts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace moeline {
namespace {

const std::vector<std::string> kFields{"tp", "pp",   "vpp",      "ep",          "etp",      "cp",
                                       "dp", "zero", "schedule", "micro_batch", "recompute"};
constexpr std::array kRecomputations{
    Recomputation{"none"}, Recomputation{"selective", false, {Recompute::core_attn}},
    Recomputation{"light", false, {Recompute::layernorm, Recompute::moe_act, Recompute::mla_up_proj}},
    Recomputation{"full", true}};

constexpr std::array kSchedules{Schedule::one_f_one_b, Schedule::interleaved, Schedule::gpipe};

// As the reader of a scenario allows; a pipeline of one stage has nothing to schedule.
bool runs(Schedule schedule, std::int64_t pp, std::int64_t vpp) {
  if (schedule == Schedule::interleaved) return vpp > 1;
  return vpp == 1 && (pp > 1 || schedule == Schedule::one_f_one_b);
}

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
    for (const Schedule schedule : kSchedules) words.emplace_back(name(schedule));
  }
  return words;
}

}  // namespace

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

LayoutSpace::LayoutSpace(const Scenario& scenario, FixedFields fixed)
    : scenario_(scenario), fixed_(std::move(fixed)), devices_(scenario.cluster.devices),
      near_(scenario.cluster.fabric[0].span.value), layers_(static_cast<std::int64_t>(scenario.model.layers.size())) {
  for (const LayerKind& kind : scenario.model.kinds) {
    if (const MoeFfn* moe = std::get_if<MoeFfn>(&kind.ffn)) experts_ = moe->experts;
  }
}

bool LayoutSpace::free(const std::string& field, std::int64_t value) const { return free(field, std::to_string(value)); }
bool LayoutSpace::free(const std::string& field, std::string_view value) const {
  const auto found = fixed_.find(field);
  return found == fixed_.end() || found->second == value;
}

std::vector<std::int64_t> LayoutSpace::interleavings(std::int64_t pp) const {
  std::vector<std::int64_t> list;
  for (std::int64_t v = 1; pp * v <= layers_ + 2; ++v) {
    const bool even = layers_ % (pp * v) == 0 || (layers_ + 2) % (pp * v) == 0;
    if ((v == 1 || (pp > 1 && even)) && free("vpp", v)) list.push_back(v);
  }
  return list;
}

std::vector<Schedule> LayoutSpace::schedules(std::int64_t pp, std::int64_t vpp) const {
  std::vector<Schedule> list;
  for (const Schedule schedule : kSchedules) {
    if (runs(schedule, pp, vpp) && free("schedule", name(schedule))) list.push_back(schedule);
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

std::optional<std::string> LayoutSpace::refusal(Parallelism& p, std::int64_t micro_batch) const {
  const TrainWorkload& train = std::get<TrainWorkload>(scenario_.workload);
  if (const auto why = resolve(p, devices_, scenario_.model)) return kind_of_reason(*why);
  if (train.sequence % (p.cp * p.tp) != 0) return "cp x tp does not divide the sequence";
  const std::int64_t samples = p.dp * micro_batch;
  if (train.global_batch % samples != 0) return "dp x micro_batch does not divide global_batch";
  if (p.vpp > 1 && train.global_batch / samples % p.pp != 0) return "interleaved 1F1B needs micro-batches in multiples of pp";
  return std::nullopt;
}

std::vector<Layout> LayoutSpace::members(const LayoutFamily& f, ReasonCounts& refused) const {
  std::vector<Layout> list;
  for (const std::int64_t pp : divisors(devices_ / f.tp / f.cp)) {
    if (pp > layers_ + 2 || !free("pp", pp) || !free("dp", devices_ / f.tp / f.cp / pp)) continue;
    for (const std::int64_t vpp : interleavings(pp)) {
      Parallelism p{.tp = f.tp, .pp = pp, .vpp = vpp, .ep = f.ep, .etp = f.etp, .cp = f.cp};
      const std::optional<std::string> why = refusal(p, f.micro_batch);
      for (const Schedule schedule : schedules(pp, vpp)) {
        p.schedule = schedule;
        for (p.zero = 0; p.zero <= 3; ++p.zero) {
          if (!free("zero", p.zero)) continue;
          if (why) {
            ++refused[*why];
          } else {
            list.push_back({p, f.micro_batch, f.recompute});
          }
        }
      }
    }
  }
  return list;
}

TrainWorkload workload_of(const Scenario& scenario, const Layout& layout) {
  TrainWorkload train = std::get<TrainWorkload>(scenario.workload);
  train.micro_batch = layout.micro_batch;
  train.full_recompute = layout.recompute->full;
  train.recompute = layout.recompute->parts;
  train.pipeline_layout.clear();
  if (!train.overlap_given) train.overlap = default_overlap(scenario.cluster, layout.parallelism, scenario.recipe);
  if (!train.transport_given) train.transport = default_transport(scenario.cluster, layout.parallelism);
  return train;
}

std::string kind_of_reason(const Infeasible& why) {
  if (why.need) return "out of memory";
  std::string kind;
  for (const char c : why.reason) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit) kind += c;
    if (digit && (kind.empty() || kind.back() != 'N')) kind += 'N';
  }
  return kind;
}

}  // namespace moeline
