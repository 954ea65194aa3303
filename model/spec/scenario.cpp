#include "spec/scenario.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

namespace moeline {
namespace {

const Json& required(const Json& json, const char* key, const std::string& origin, const char* cure) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) {
    throw SpecError(fmt::format("{}#/{}", origin, key), fmt::format("missing, {}", cure));
  }
  return *found;
}

// Of a layer; 0 in a dense model.
std::int64_t experts_of(const ModelSpec& model) {
  std::int64_t experts = 0;
  for (const LayerKind& kind : model.kinds) {
    if (const MoeFfn* moe = std::get_if<MoeFfn>(&kind.ffn)) experts = moe->experts;
  }
  return experts;
}

bool on_wafer(const Scenario& s) { return std::holds_alternative<Wafer>(s.cluster.device); }

bool crosses_nodes(const Cluster& cluster, const Parallelism& p) { return tier_of(expert_group(p), cluster.fabric) > 0; }

template <class W>
void fill_transport(Scenario& s, W& workload) {
  if (workload.transport_given || s.parallelism.ep == 1 || on_wafer(s)) return;
  workload.transport = default_transport(s.cluster, s.parallelism);
  s.assumptions.push_back(fmt::format("transport: {} (Megatron-Core recipe default for this fabric)", name(workload.transport)));
}

// No cut given: experts over the devices of the innermost tier, everything else replicated.
void fill_parallelism(Scenario& s) {
  if (on_wafer(s)) return;  // systems share nothing but the batch
  const std::int64_t near = std::min(s.cluster.devices, s.cluster.fabric[0].span.value);
  for (const LayerKind& kind : s.model.kinds) {
    const MoeFfn* moe = std::get_if<MoeFfn>(&kind.ffn);
    if (moe != nullptr) s.parallelism.ep = std::gcd(moe->experts, near);
  }
  while (s.cluster.devices % s.parallelism.ep != 0) s.parallelism.ep = std::gcd(s.parallelism.ep, s.cluster.devices);
  s.assumptions.push_back(fmt::format("parallelism: ep={}, all else data-parallel (none given)", s.parallelism.ep));
}

// Tokens of one optimiser step on one wafer; the Model Zoo's global batches are of this order on 8 systems.
constexpr std::int64_t kWaferBatchTokens = 1 << 20;

// What Megatron-Core's published performance recipes switch on, when the scenario does not say.
void fill_train_defaults(Scenario& s, TrainWorkload& train, const std::string& origin) {
  const Parallelism& p = s.parallelism;
  if (on_wafer(s) && train.global_batch == 0) {
    train.global_batch = s.cluster.devices * std::max<std::int64_t>(1, kWaferBatchTokens / train.sequence);
    s.assumptions.push_back(fmt::format("global_batch: {} (a million tokens on every system)", train.global_batch));
  }
  if (!train.overlap_given && !on_wafer(s)) {
    train.overlap = default_overlap(s.cluster, p);
    std::string list;
    for (const Overlap overlap : train.overlap) list += fmt::format("{}{}", list.empty() ? "" : " ", name(overlap));
    s.assumptions.push_back("overlap: " + list + " (Megatron-Core recipe default for this layout)");
  }
  if (train.global_batch == 0) {
    train.global_batch = 16 * train.micro_batch * std::max<std::int64_t>(1, s.cluster.devices / (p.tp * p.cp * p.pp));
    s.assumptions.push_back(fmt::format("global_batch: {} (16 micro-batches on every rank)", train.global_batch));
  }
  if (train.mtp_layers < 0) train.mtp_layers = static_cast<std::int64_t>(s.model.mtp_layers.size());
  if (train.mtp_layers > static_cast<std::int64_t>(s.model.mtp_layers.size())) {
    throw SpecError(origin + "#/workload/mtp_layers", fmt::format("{} has {} MTP modules", s.model.name,
                                                         s.model.mtp_layers.size()));
  }
}

// Hugging Face's backends and adapters are code for GPUs; the first take experts, too.
void check_backends(const Scenario& s, const std::string& origin) {
  const TrainWorkload* train = std::get_if<TrainWorkload>(&s.workload);
  if (train != nullptr && train->lora && on_wafer(s)) {
    throw SpecError(origin + "#/workload/lora", "adapters are modelled on GPUs");
  }
  const LayerWorkload* layer = std::get_if<LayerWorkload>(&s.workload);
  if (layer == nullptr || layer->code.backends.empty()) return;
  const std::string where = origin + "#/workload/experts_backend";
  if (on_wafer(s)) throw SpecError(where, "these backends run on GPUs");
  if (experts_of(s.model) == 0) throw SpecError(where, s.model.name + " has no experts");
}

Json echo(const Scenario& s, const Json& given) {
  Json out = given;
  out["devices"] = s.cluster.devices;
  const Parallelism& p = s.parallelism;
  out["parallelism"] = Json{{"tp", p.tp},   {"pp", p.pp}, {"vpp", p.vpp}, {"ep", p.ep},     {"etp", p.etp},
                            {"cp", p.cp},   {"dp", p.dp}, {"zero", p.zero}, {"schedule", name(p.schedule)}};
  if (!out.contains("recipe")) out["recipe"] = s.recipe.name;
  Json& workload = out["workload"];
  if (const TrainWorkload* t = std::get_if<TrainWorkload>(&s.workload)) {
    workload["sequence"] = t->sequence;
    workload["global_batch"] = t->global_batch;
    workload["micro_batch"] = t->micro_batch;
    if (t->full_recompute) {
      workload["recompute"] = "full";
    } else {
      workload["recompute"] = Json::array();
      for (const Recompute part : t->recompute) workload["recompute"].push_back(name(part));
    }
    workload["optimizer"] = name(t->optimizer);
    workload["gradient_dtype"] = name(t->gradient);
    workload["mtp_layers"] = t->mtp_layers;
    workload["overlap"] = Json::array();
    for (const Overlap overlap : t->overlap) workload["overlap"].push_back(name(overlap));
    workload["transport"] = name(t->transport);
    workload["cuda_graph"] = t->cuda_graph;
    if (t->lora) workload["lora"] = to_json(*t->lora);
  } else {
    workload["tokens"] = std::get<LayerWorkload>(s.workload).tokens;
    workload["sequence"] = std::get<LayerWorkload>(s.workload).sequence;
    workload["transport"] = name(std::get<LayerWorkload>(s.workload).transport);
  }
  if (on_wafer(s)) {
    workload["wafer"] = std::visit([](const auto& w) { return to_json(w.wafer); }, s.workload);
  }
  out["routing"] = to_json(s.routing, given.value("routing", Json::object()));
  out["calibration"] = s.calibration;
  return out;
}

std::vector<std::string> split_pointer(std::string text) {
  if (text.empty() || text[0] != '/') text = "/" + text;
  std::vector<std::string> tokens;
  for (std::size_t at = 1; at <= text.size();) {
    const std::size_t slash = std::min(text.find('/', at), text.size());
    tokens.push_back(text.substr(at, slash - at));
    at = slash + 1;
  }
  if (!tokens.empty() && tokens[0] == "cluster") tokens[0] = "hardware";
  return tokens;
}

}  // namespace

Transport default_transport(const Cluster& cluster, const Parallelism& p) {
  if (p.ep == 1) return Transport::nccl;
  const bool rack = cluster.fabric[0].span.value > 8;
  return rack ? Transport::hybridep : crosses_nodes(cluster, p) ? Transport::deepep : Transport::nccl;
}

EnumSet<Overlap> default_overlap(const Cluster& cluster, const Parallelism& p) {
  EnumSet<Overlap> overlap{Overlap::dp_reduce, Overlap::param_gather};
  if (p.tp > 1) overlap.insert(Overlap::tp);
  if (p.vpp > 1) overlap.insert(Overlap::pp);
  if (p.ep > 1 && crosses_nodes(cluster, p) && (p.pp == 1 || p.vpp > 1)) overlap.insert(Overlap::ep_1f1b);
  return overlap;
}

Cluster read_cluster_of(const Json& json, const std::string& origin) {
  const Json& named = required(json, "hardware", origin, "name a machine: --hardware h200-sxm");
  const Document hardware = find_hardware(named, origin + "#/hardware");
  return read_cluster(hardware.json, hardware.origin);
}

ModelSpec read_model_of(const Json& json, const std::string& origin) {
  const Json& named = required(json, "model", origin, "name a model: --model deepseek-v3");
  const Document model = find_model(named, origin + "#/model");
  return read_model(model.json, model.origin, model.name);
}

Scenario read_scenario(const Json& json, const std::string& origin) {
  if (!json.is_object()) ObjectReader(json, origin);  // refuses
  Scenario s;
  s.cluster = read_cluster_of(json, origin);
  s.model = read_model_of(json, origin);
  read_rest(s, json, origin);
  s.resolved = echo(s, json);
  return s;
}

void read_rest(Scenario& s, const Json& json, const std::string& origin) {
  ObjectReader reader(json, origin);
  reader.skip_all({"model", "hardware", "speculation", "description", "recipe", "parallelism", "workload", "routing"});
  s.assumptions.clear();
  s.parallelism = {};
  s.routing = {};
  s.speculation = {};
  const bool has_node = s.cluster.node.has_value();
  s.cluster.devices = reader.integer_or("devices", {1, 1 << 24}, has_node ? s.cluster.node->devices.value : 1);
  if (!reader.has("devices")) s.assumptions.push_back(fmt::format("devices: {} (one node)", s.cluster.devices));
  if (reader.has("recipe")) {
    s.recipe = read_recipe(reader.any("recipe"), reader.where("recipe"));
  } else {
    s.recipe = read_recipe("bf16", reader.where("recipe"));
    s.assumptions.push_back("recipe: bf16 (none given)");
  }
  if (reader.has("parallelism")) {
    s.parallelism = read_parallelism(reader.object("parallelism"));
  } else {
    fill_parallelism(s);
  }
  if (!reader.has("workload")) reader.fail("workload", "missing: {\"kind\": \"train\", ...} or {\"kind\": \"layer\", ...}");
  s.workload = read_workload(reader.object("workload"));
  if (reader.has("routing")) {
    s.routing = read_routing(reader.object("routing"), experts_of(s.model));
  } else {
    s.assumptions.push_back("routing: balanced (no load given)");
  }
  if (reader.has("speculation")) {
    s.speculation = read_speculation(reader.object("speculation"), s.assumptions);
    if (s.speculation.kind != SpeculationKind::none) {
      reader.object("speculation").fail("kind", "speculation applies to serving, which is not modelled yet");
    }
  }
  s.calibration = reader.string_or("calibration", "auto");
  reader.finish();
  check_backends(s, origin);
  std::visit([&](auto& workload) { fill_transport(s, workload); }, s.workload);
  if (TrainWorkload* train = std::get_if<TrainWorkload>(&s.workload)) fill_train_defaults(s, *train, origin);
}

void set_field(Json& scenario, const std::string& pointer_and_value, const std::string& origin) {
  const std::size_t equals = pointer_and_value.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw SpecError("--set " + pointer_and_value, "expected POINTER=VALUE, such as /parallelism/ep=32");
  }
  const std::string text = pointer_and_value.substr(equals + 1);
  Json value = Json::parse(text, nullptr, false);
  if (value.is_discarded()) value = text;
  set_field(scenario, pointer_and_value.substr(0, equals), value, origin, "--set " + pointer_and_value);
}

void set_field(Json& scenario, const std::string& pointer, const Json& value, const std::string& origin,
               const std::string& where) {
  std::vector<std::string> parts = split_pointer(pointer);
  if (parts.size() > 1 && parts[0] == "hardware" && scenario.contains("hardware")) {
    scenario["hardware"] = find_hardware(scenario["hardware"], origin + "#/hardware").json;
    // The value of a fact is set through the fact, so that its source cannot outlive it.
    if (parts.back() == "value") parts.pop_back();
  }
  if (parts.size() > 1 && parts[0] == "model" && scenario.contains("model") && scenario["model"].is_string()) {
    scenario["model"] = Json{{"base", scenario["model"]}};  // keeps the name: answers say "mixtral-8x7b (changed)"
  }
  Json* at = &scenario;
  for (const std::string& part : parts) {
    if (at->is_array()) {
      const bool digits = !part.empty() && part.size() < 6 && part.find_first_not_of("0123456789") == std::string::npos;
      if (!digits || std::stoul(part) >= at->size()) {
        throw SpecError(where, fmt::format("\"{}\" is not an index of an array of {}", part,
                                                                  at->size()));
      }
      at = &(*at)[std::stoul(part)];
    } else if (at->is_object() || at->is_null()) {
      at = &(*at)[part];
    } else {
      throw SpecError(where, fmt::format("nothing lies below \"{}\"", part));
    }
  }
  overlay(*at, value);
}

}  // namespace moeline
