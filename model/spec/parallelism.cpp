#include "spec/parallelism.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "spec/json.hpp"

namespace moeline {
namespace {

constexpr IntegerRange kDegree{1, 1 << 20};  // tp x cp x pp stays below 2^63
const std::vector<std::string> kKeys{"tp", "pp", "vpp", "ep", "etp", "cp", "dp", "zero", "shard", "schedule"};

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Infeasible> check_model(const Parallelism& p, const ModelSpec& model) {
  for (const LayerKind& kind : model.kinds) {
    const std::int64_t heads = std::visit(
        [](const auto& a) {
          if constexpr (requires { a.heads; }) return a.heads;
          if constexpr (requires { a.value_heads; }) return a.value_heads;
        },
        kind.attention);
    if (heads % p.tp != 0) {
      return Infeasible{fmt::format("tp={} does not divide the {} attention heads of {}", p.tp, heads, model.name),
                        "choose a tp that divides the heads"};
    }
  }
  const MoeFfn* moe = any_moe(model);
  if (p.ep > 1 && moe == nullptr) {
    return Infeasible{fmt::format("ep={} but {} has no experts", p.ep, model.name), "set ep=1"};
  }
  if (moe != nullptr && moe->experts % p.ep != 0) {
    return Infeasible{fmt::format("ep={} does not divide the {} experts of {}", p.ep, moe->experts, model.name),
                      "choose an ep that divides the experts"};
  }
  const auto layers = static_cast<std::int64_t>(model.layers.size());
  if (p.pp * p.vpp > layers + 2) {
    return Infeasible{fmt::format("pp x vpp = {} stages for {} layers", p.pp * p.vpp, layers),
                      "lower pp or vpp so that every stage has a layer"};
  }
  return std::nullopt;
}

}  // namespace

Parallelism read_parallelism(ObjectReader reader) {
  Parallelism p;
  p.tp = reader.integer_or("tp", kDegree, 1);
  p.pp = reader.integer_or("pp", kDegree, 1);
  p.vpp = reader.integer_or("vpp", kDegree, 1);
  p.ep = reader.integer_or("ep", kDegree, 1);
  p.etp = reader.integer_or("etp", kDegree, 1);
  p.cp = reader.integer_or("cp", kDegree, 1);
  p.zero = static_cast<int>(reader.integer_or("zero", {0, 3}, 1));
  p.shard = reader.integer_or("shard", kDegree, 0);
  if (p.shard > 0 && p.zero != 3) reader.fail("shard", "shards weights, gradients and optimiser states: set zero to 3");
  reader.skip("dp");
  if (reader.has("dp")) {
    const Json& dp = reader.any("dp");
    if (dp.is_string() && dp.get<std::string>() != "auto") {
      reader.fail("dp", fmt::format("\"{}\": expected a whole number or \"auto\"", dp.get<std::string>()));
    }
    if (!dp.is_string()) p.requested_dp = reader.integer("dp", kDegree);
  }
  p.schedule = p.vpp > 1 ? Schedule::interleaved : Schedule::one_f_one_b;
  reader.skip("schedule");
  if (reader.has("schedule")) {
    std::vector<std::string> names;
    for (const Schedule schedule : all_schedules()) names.emplace_back(name(schedule));
    const std::string given = reader.one_of("schedule", names);
    p.schedule = *std::find_if(all_schedules().begin(), all_schedules().end(), [&](Schedule s) { return name(s) == given; });
    if (p.schedule == Schedule::one_f_one_b && p.vpp > 1) p.schedule = Schedule::interleaved;
    if (p.schedule == Schedule::interleaved && p.vpp == 1) {
      reader.fail("schedule", "interleaved_1f1b needs vpp of at least 2");
    }
    if (is_folded(p.schedule) && !reader.has("vpp")) p.vpp = 2;
    if (is_folded(p.schedule) && p.vpp != 2) reader.fail("schedule", fmt::format("{} runs with vpp=2 only", given));
    if (p.schedule != Schedule::interleaved && !is_folded(p.schedule) && p.vpp > 1) {
      reader.fail("schedule", fmt::format("{} runs with vpp=1 only", given));
    }
  }
  reader.finish();
  return p;
}

Json parse_parallelism_text(const std::string& text, const std::string& where) {
  Json json = Json::object();
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const std::string item = text.substr(at, comma - at);
    const std::size_t equals = item.find('=');
    if (equals == std::string::npos) {
      throw SpecError(where, fmt::format("\"{}\": expected name=value, such as tp=1,pp=4,ep=64", item));
    }
    const std::string key = item.substr(0, equals), value = item.substr(equals + 1);
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
      throw SpecError(where, fmt::format("unknown name \"{}\"{}", key, did_you_mean(key, kKeys)));
    }
    if (json.contains(key)) throw SpecError(where, fmt::format("\"{}\" is given twice", key));
    const std::optional<std::int64_t> number = whole_number(value);
    if (number) {
      json[key] = *number;
    } else {
      json[key] = value;
    }
    at = comma + 1;
  }
  return json;
}

std::optional<Infeasible> resolve(Parallelism& p, std::int64_t devices, const ModelSpec& model) {
  const std::int64_t cut = p.tp * p.cp * p.pp;
  if (devices % cut != 0) {
    return Infeasible{fmt::format("tp x cp x pp = {} does not divide {} devices", cut, devices),
                      "change devices, tp, cp or pp so that it does"};
  }
  p.dp = p.requested_dp.value_or(devices / cut);
  if (p.dp != devices / cut) {
    return Infeasible{fmt::format("tp x cp x pp x dp = {} uses {} devices of {}", cut * p.dp, cut * p.dp, devices),
                      fmt::format("set dp=auto, which is {} here, or change devices", devices / cut)};
  }
  if (p.shard > 0 && (p.dp * p.cp) % p.shard != 0) {
    return Infeasible{fmt::format("shard={} does not divide the {} data-parallel ranks (dp x cp)", p.shard, p.dp * p.cp),
                      "choose a shard that divides them"};
  }
  if (p.ranks_per_stage() % (p.etp * p.ep) != 0) {
    return Infeasible{fmt::format("etp x ep = {} does not divide the {} ranks of a pipeline stage (tp x cp x dp)",
                                  p.etp * p.ep, p.ranks_per_stage()),
                      "lower ep or pp, or use more devices"};
  }
  if (runs_both_ways(p.schedule) && p.pp % 2 != 0) {
    return Infeasible{fmt::format("{} pairs stages, pp={} is odd", name(p.schedule), p.pp), "set an even pp"};
  }
  return check_model(p, model);
}

Group tensor_group(const Parallelism& p) { return {p.tp, 1}; }
Group context_group(const Parallelism& p) { return {p.cp, p.tp}; }
Group data_group(const Parallelism& p) { return {p.copies() * p.dp * p.cp, p.tp}; }
Group shard_group(const Parallelism& p) { return {p.shard > 0 ? p.shard : data_group(p).size, p.tp}; }
Group replica_group(const Parallelism& p) { return {data_group(p).size / shard_group(p).size, p.tp * shard_group(p).size}; }
Group expert_tensor_group(const Parallelism& p) { return {p.etp, 1}; }
Group expert_group(const Parallelism& p) { return {p.ep, p.etp}; }
Group expert_data_group(const Parallelism& p) { return {p.copies() * p.edp(), p.etp * p.ep}; }
Group pipeline_group(const Parallelism& p) { return {p.pp, p.ranks_per_stage()}; }

std::string_view name(Schedule schedule) {
  switch (schedule) {
    case Schedule::gpipe: return "gpipe";
    case Schedule::one_f_one_b: return "1f1b";
    case Schedule::interleaved: return "interleaved_1f1b";
    case Schedule::zb_h1: return "zb_h1";
    case Schedule::zb_h2: return "zb_h2";
    case Schedule::zb_v: return "zb_v";
    case Schedule::dualpipe: return "dualpipe";
    case Schedule::dualpipe_v: return "dualpipe_v";
  }
  return "";
}

const std::vector<Schedule>& all_schedules() {
  static const std::vector<Schedule> list{Schedule::gpipe, Schedule::one_f_one_b, Schedule::interleaved, Schedule::zb_h1,
                                          Schedule::zb_h2, Schedule::zb_v,        Schedule::dualpipe,    Schedule::dualpipe_v};
  return list;
}

}  // namespace moeline
