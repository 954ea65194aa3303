#include "plan/layouts.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "memory/footprint.hpp"

namespace moeline {
namespace {

const std::vector<std::string> kFields{"tp", "pp", "vpp", "ep", "etp", "cp", "dp", "zero", "micro_batch", "recompute"};
const std::vector<std::string> kRecompute{"none", "selective", "light", "full"};

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

class Enumeration {
 public:
  Enumeration(const Scenario& scenario, const FixedFields& fixed, ReasonCounts& refused)
      : s_(scenario), train_(std::get<TrainWorkload>(scenario.workload)), fixed_(fixed), refused_(refused) {
    for (const LayerKind& kind : s_.model.kinds) {
      if (const MoeFfn* moe = std::get_if<MoeFfn>(&kind.ffn)) experts_ = moe->experts;
    }
  }

  std::vector<Layout> all() {
    const std::int64_t devices = s_.cluster.devices, near = s_.cluster.fabric[0].span.value;
    for (const std::int64_t tp : divisors(devices)) {
      if (tp > near || !free("tp", tp)) continue;
      for (const std::int64_t cp : divisors(devices / tp)) {
        if (!free("cp", cp)) continue;
        for (const std::int64_t pp : divisors(devices / tp / cp)) {
          if (pp > layers() + 2 || !free("pp", pp) || !free("dp", devices / tp / cp / pp)) continue;
          for (const std::int64_t vpp : interleavings(pp)) add_experts(tp, cp, pp, vpp, near);
        }
      }
    }
    return std::move(list_);
  }

 private:
  std::int64_t layers() const { return static_cast<std::int64_t>(s_.model.layers.size()); }
  bool free(const std::string& field, std::int64_t value) const { return free(field, std::to_string(value)); }
  bool free(const std::string& field, const std::string& value) const {
    const auto found = fixed_.find(field);
    return found == fixed_.end() || found->second == value;
  }

  std::vector<std::int64_t> interleavings(std::int64_t pp) const {
    std::vector<std::int64_t> list;
    for (std::int64_t v = 1; pp * v <= layers() + 2; ++v) {
      const bool even = layers() % (pp * v) == 0 || (layers() + 2) % (pp * v) == 0;
      if ((v == 1 || (pp > 1 && even)) && free("vpp", v)) list.push_back(v);
    }
    return list;
  }

  void add_experts(std::int64_t tp, std::int64_t cp, std::int64_t pp, std::int64_t vpp, std::int64_t near) {
    const std::int64_t ranks = s_.cluster.devices / pp;
    for (const std::int64_t ep : divisors(experts_)) {
      if (!free("ep", ep)) continue;
      for (const std::int64_t etp : experts_ > 1 ? divisors(ranks) : std::vector<std::int64_t>{1}) {
        if (etp > near || !free("etp", etp)) continue;
        Parallelism p{.tp = tp, .pp = pp, .vpp = vpp, .ep = ep, .etp = etp, .cp = cp};
        p.schedule = vpp > 1 ? Schedule::interleaved : Schedule::one_f_one_b;
        if (const auto why = resolve(p, s_.cluster.devices, s_.model)) {
          ++refused_[kind_of_reason(*why)];
        } else if (train_.sequence % (cp * tp) != 0) {
          ++refused_["cp x tp does not divide the sequence"];
        } else {
          add_batches(p);
        }
      }
    }
  }

  void add_batches(Parallelism p) {
    for (const std::int64_t micro_batch : {1, 2, 4, 8, 16}) {
      if (!free("micro_batch", micro_batch)) continue;
      const std::int64_t samples = p.dp * micro_batch;
      if (train_.global_batch % samples != 0) {
        ++refused_["dp x micro_batch does not divide global_batch"];
        continue;
      }
      if (p.vpp > 1 && train_.global_batch / samples % p.pp != 0) {
        ++refused_["interleaved 1F1B needs micro-batches in multiples of pp"];
        continue;
      }
      for (int zero = 0; zero <= 3; ++zero) {
        p.zero = zero;
        for (const std::string& recompute : kRecompute) {
          if (free("zero", zero) && free("recompute", recompute)) list_.push_back({p, micro_batch, recompute});
        }
      }
    }
  }

  const Scenario& s_;
  const TrainWorkload& train_;
  const FixedFields& fixed_;
  ReasonCounts& refused_;
  std::int64_t experts_ = 1;
  std::vector<Layout> list_;
};

// Parts that are cheap to compute again.
Json recompute_of(const std::string& name) {
  if (name == "light") return Json{"layernorm", "moe_act", "mla_up_proj"};
  return name;
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
    const bool digits =
        !value.empty() && value.size() < 10 && value.find_first_not_of("0123456789") == std::string::npos;
    if (name == "recompute" && std::find(kRecompute.begin(), kRecompute.end(), value) == kRecompute.end()) {
      throw SpecError(where, fmt::format("recompute: unknown value \"{}\"{}", value, did_you_mean(value, kRecompute)));
    }
    if (name != "recompute" && (!digits || value[0] == '0') && !(name == "zero" && value == "0")) {
      throw SpecError(where, fmt::format("{}: \"{}\" is not a whole number above 0", name, value));
    }
    if (!fixed.emplace(name, value).second) throw SpecError(where, fmt::format("\"{}\" is given twice", name));
  }
  return fixed;
}

std::vector<Layout> legal_layouts(const Scenario& scenario, const FixedFields& fixed, ReasonCounts& refused) {
  return Enumeration(scenario, fixed, refused).all();
}

Json with_layout(const Json& scenario, const Layout& layout) {
  const Parallelism& p = layout.parallelism;
  Json json = scenario;
  json["parallelism"] =
      Json{{"tp", p.tp}, {"pp", p.pp}, {"vpp", p.vpp}, {"ep", p.ep}, {"etp", p.etp}, {"cp", p.cp}, {"zero", p.zero}};
  json["workload"]["micro_batch"] = layout.micro_batch;
  json["workload"]["recompute"] = recompute_of(layout.recompute);
  json["workload"].erase("pipeline_layout");
  return json;
}

Bytes least_memory(const Scenario& scenario, const Layout& layout) {
  const TrainWorkload& train = std::get<TrainWorkload>(scenario.workload);
  StageContent whole{.layers_of_kind = std::vector<int>(scenario.model.kinds.size(), 0),
                     .mtp_modules = 0,
                     .embedding = false,
                     .head = false,
                     .micro_batches = 0};
  for (const int kind : scenario.model.layers) ++whole.layers_of_kind[static_cast<std::size_t>(kind)];
  const Footprint all =
      footprint({scenario.model, layout.parallelism, scenario.recipe, scenario.routing, train}, whole);
  return (all.of("weights") + all.of("gradients") + all.of("optimizer")) / static_cast<double>(layout.parallelism.pp);
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
