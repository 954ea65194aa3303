#include "spec/scenario.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "spec/json.hpp"

namespace moeline {
namespace {

const Json& required(const Json& json, const char* key, const std::string& origin, const char* cure) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) {
    throw SpecError(fmt::format("{}#/{}", origin, key), fmt::format("missing, {}", cure));
  }
  return *found;
}

template <class... Values>
void assume(Scenario& s, fmt::format_string<Values...> text, Values&&... values) {
  if (s.lists_assumptions) s.assumptions.push_back(fmt::format(text, std::forward<Values>(values)...));
}

bool on_wafer(const Scenario& s) { return std::holds_alternative<Wafer>(s.cluster.device); }

bool crosses_nodes(const Cluster& cluster, const Parallelism& p) { return tier_of(expert_group(p), cluster.fabric) > 0; }

void fill_transport(Scenario&, ServeWorkload&) {}
template <class W>
void fill_transport(Scenario& s, W& workload) {
  if (workload.transport_given || s.parallelism.ep == 1 || on_wafer(s)) return;
  workload.transport = default_transport(s.cluster, s.parallelism);
  assume(s, "transport: {} (Megatron-Core recipe default for this fabric)", name(workload.transport));
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
  assume(s, "parallelism: ep={}, all else data-parallel (none given)", s.parallelism.ep);
}

// Tokens of one optimiser step on one wafer; the Model Zoo's global batches are of this order on 8 systems.
constexpr std::int64_t kWaferBatchTokens = 1 << 20;

// What Megatron-Core's published performance recipes switch on, when the scenario does not say.
// Switches that mean nothing for a model, or that its framework refuses.
void check_switches(const Scenario& s, const TrainWorkload& train, const std::string& origin) {
  const auto refuse = [&](const char* key, const std::string& why) { throw SpecError(origin + "#/workload/" + key, why); };
  const bool experts = experts_of(s.model) > 0;
  if (!train.sequence_parallel && s.parallelism.tp > 1 && experts) {
    refuse("sequence_parallel", "experts under tensor parallelism need it, as in Megatron-Core");
  }
  const auto plain = [](const LayerKind& kind) { return std::holds_alternative<GroupedQueryAttention>(kind.attention); };
  const bool all_plain = std::all_of(s.model.kinds.begin(), s.model.kinds.end(), plain);
  if (train.attention == AttentionKernel::unfused && !all_plain) refuse("attention", "only grouped-query attention runs unfused here");
  const Gpu* gpu = std::get_if<Gpu>(&s.cluster.device);
  if (train.attention == AttentionKernel::flash2 && (gpu == nullptr || (gpu->architecture != "sm_80" && gpu->architecture != "sm_90"))) {
    refuse("attention", "what FlashAttention 2 reaches is known of A100 and Hopper only");
  }
  if (train.recompute.contains(Recompute::per_op) && (experts || !all_plain)) {
    refuse("recompute", "\"per_op\" is written down for dense layers with grouped-query attention");
  }
}

void assume_overlap(Scenario& s, EnumSet<Overlap> overlap) {
  if (!s.lists_assumptions) return;
  std::vector<std::string_view> names;
  for (const Overlap what : overlap) names.push_back(name(what));
  assume(s, "overlap: {} (Megatron-Core recipe default for this layout)", fmt::join(names, " "));
}

void fill_train_defaults(Scenario& s, TrainWorkload& train, const std::string& origin) {
  const Parallelism& p = s.parallelism;
  if (on_wafer(s) && train.global_batch == 0) {
    train.global_batch = s.cluster.devices * std::max<std::int64_t>(1, kWaferBatchTokens / train.sequence);
    assume(s, "global_batch: {} (a million tokens on every system)", train.global_batch);
  }
  if (!train.overlap_given && !on_wafer(s)) {
    train.overlap = default_overlap(s.cluster, p, s.recipe);
    assume_overlap(s, train.overlap);
  }
  if (train.global_batch == 0) {
    train.global_batch = 16 * train.micro_batch * std::max<std::int64_t>(1, s.cluster.devices / (p.tp * p.cp * p.pp));
    assume(s, "global_batch: {} (16 micro-batches on every rank)", train.global_batch);
  }
  check_switches(s, train, origin);
  if (train.mtp_layers < 0) train.mtp_layers = static_cast<std::int64_t>(s.model.mtp_layers.size());
  if (train.mtp_layers > static_cast<std::int64_t>(s.model.mtp_layers.size())) {
    throw SpecError(origin + "#/workload/mtp_layers", fmt::format("{} has {} MTP modules", s.model.name,
                                                         s.model.mtp_layers.size()));
  }
}

// The software that published deployments of this kind run; bf16 checkpoints apart, the checkpoint's own formats.
void fill_stack(Scenario& s, ServeWorkload& serve, bool recipe_given) {
  if (!serve.stack_given) {
    const Gpu* gpu = std::get_if<Gpu>(&s.cluster.device);
    serve.stack = gpu != nullptr && gpu->architecture.starts_with("sm_10") ? Stack::trtllm : Stack::vllm;
    assume(s, "stack: {} (none given)", name(serve.stack));
  }
  if (recipe_given) return;
  const std::string recipe = s.model.stored == DType::mxfp4 ? "mxfp4" : s.model.stored == DType::bf16 ? "bf16" : "fp8_block";
  s.recipe = read_recipe(recipe, "recipe");
  assume(s, "recipe: {} (as the checkpoint is stored)", recipe);
}

// No cut given: as few devices of a node as hold the weights in two thirds of their memory, all cutting the same layers.
std::int64_t least_tp(const Scenario& s) {
  const ModelParameters p = parameters(s.model);
  const Bytes weights = bytes(s.recipe.expert, static_cast<double>(p.main));
  std::int64_t tp = 1;
  const std::int64_t near = s.cluster.fabric.empty() ? 1 : s.cluster.fabric[0].span.value;
  while (2 * tp <= near && weights / static_cast<double>(tp) > 0.67 * memory_capacity(s.cluster.device)) tp *= 2;
  return tp;
}

LayoutRequest laid_over(const LayoutRequest& whole, const LayoutRequest& pool) {
  LayoutRequest r = pool;
  const bool own = pool.tp || pool.ep || pool.pp || pool.etp || pool.dp;
  if (own) return r;
  const std::optional<bool> attention_dp = pool.attention_dp ? pool.attention_dp : whole.attention_dp;
  r = whole;
  r.attention_dp = attention_dp;
  return r;
}

// Loads as they were seen in service: power laws of 1.01 for DeepSeek-R1, whose router corrects itself by a bias, and of 1.2 for
// Qwen3-235B, which has none (NVIDIA aiconfigurator, POWER_LAW_DISTRIBUTION.md).
void fill_served_routing(Scenario& s, std::int64_t experts) {
  const double alpha = any_moe(s.model)->router_bias ? 1.01 : 1.2;
  s.routing = read_routing(ObjectReader(Json{{"popularity", "power_law"}, {"alpha", alpha}}, "routing"), experts);
  assume(s, "routing: power-law:{} (no load given; as seen in service)", alpha);
}

void fill_serve_defaults(Scenario& s, ServeWorkload& serve, const Json& json, const std::string& origin) {
  fill_stack(s, serve, json.contains("recipe") && !json["recipe"].is_null());
  LayoutRequest request;
  if (json.contains("parallelism")) {
    ObjectReader reader(json["parallelism"], origin + "#/parallelism");
    request = read_layout_request(reader);
    reader.finish();
  } else {
    request.tp = least_tp(s);
    if (serve.mode == ServeMode::aggregated) assume(s, "parallelism: tp={} (none given)", *request.tp);
  }
  request.attention_dp = serve.attention_dp;
  const std::int64_t experts = experts_of(s.model);
  if (experts == 0 && request.ep.value_or(1) > 1) assume(s, "ep has no meaning in a dense model and is ignored");
  const bool apart = serve.mode == ServeMode::disaggregated;
  for (Pool* pool : {&serve.prefill, &serve.decode}) {
    pool->layout = layout_of(apart ? laid_over(request, pool->asked) : request, experts);
  }
  if (!json.contains("devices")) {
    s.cluster.devices = apart ? serve.prefill.devices() + serve.decode.devices() : serve.decode.devices();
    assume(s, "devices: {} (what the workers take)", s.cluster.devices);
  }
  const ServeLayout& l = serve.decode.layout;
  s.parallelism = {.tp = l.tp, .pp = l.pp, .ep = l.ep, .etp = l.etp, .dp = l.dp};
  if (!json.contains("routing") && experts > 0) fill_served_routing(s, experts);
}

void echo_serve(const Scenario& s, const ServeWorkload& serve, Json& out) {
  out["parallelism"] = to_json(serve.decode.layout);
  Json& workload = out["workload"];
  workload["input"] = serve.input;
  workload["output"] = serve.output;
  if (serve.concurrency > 0) workload["concurrency"] = serve.concurrency;
  if (serve.request_rate) workload["request_rate"] = *serve.request_rate;
  workload["length_ratio"] = serve.length_ratio;
  workload["mode"] = name(serve.mode);
  workload["stack"] = name(serve.stack);
  workload["attention_dp"] = serve.decode.layout.dp > 1;
  workload["prefix_hit_rate"] = serve.prefix_hit_rate;
  workload["memory_fraction"] = serve.memory_fraction;
  if (serve.mode == ServeMode::disaggregated) {
    for (const auto& [key, pool] : {std::pair{"prefill", &serve.prefill}, std::pair{"decode", &serve.decode}}) {
      workload[key] = to_json(pool->layout);
      workload[key]["workers"] = pool->workers;
      workload[key]["attention_dp"] = pool->layout.dp > 1;
    }
  }
  out["recipe"] = out.value("recipe", Json(s.recipe.name));
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
  if (p.shard > 0) out["parallelism"]["shard"] = p.shard;
  if (!out.contains("recipe")) out["recipe"] = s.recipe.name;
  Json& workload = out["workload"];
  if (const TrainWorkload* t = std::get_if<TrainWorkload>(&s.workload)) {
    workload["sequence"] = t->sequence;
    workload["global_batch"] = t->global_batch;
    workload["micro_batch"] = t->micro_batch;
    if (!t->recompute_given) {
      workload["recompute"] = "auto";
    } else if (t->full_recompute) {
      workload["recompute"] = "full";
    } else {
      workload["recompute"] = Json::array();
      for (const Recompute part : t->recompute) workload["recompute"].push_back(name(part));
    }
    if (t->full_recompute) {
      workload["recompute_method"] = name(t->recompute_method);
      if (t->recompute_layers > 0) workload["recompute_layers"] = t->recompute_layers;
    }
    workload["optimizer"] = name(t->optimizer);
    workload["master_dtype"] = name(t->master);
    workload["moment_dtype"] = name(t->moment);
    workload["offload_optimizer"] = t->offload_optimizer;
    if (t->offload_layers > 0) workload["offload_layers"] = t->offload_layers;
    workload["gradient_dtype"] = name(t->gradient);
    workload["mtp_layers"] = t->mtp_layers;
    workload["overlap"] = Json::array();
    for (const Overlap overlap : t->overlap) workload["overlap"].push_back(name(overlap));
    workload["transport"] = name(t->transport);
    workload["cuda_graph"] = t->cuda_graph;
    workload["attention"] = name(t->attention);
    workload["fused_passes"] = t->fused_passes;
    if (!t->extra_passes.empty()) workload["extra_passes"] = Json::array();
    for (const ExtraPass pass : t->extra_passes) workload["extra_passes"].push_back(name(pass));
    workload["sequence_parallel"] = t->sequence_parallel;
    if (t->run) workload["run"] = to_json(*t->run);
    if (t->lora) workload["lora"] = to_json(*t->lora);
  } else if (const ServeWorkload* serve = std::get_if<ServeWorkload>(&s.workload)) {
    echo_serve(s, *serve, out);
  } else {
    workload["tokens"] = std::get<LayerWorkload>(s.workload).tokens;
    workload["sequence"] = std::get<LayerWorkload>(s.workload).sequence;
    workload["transport"] = name(std::get<LayerWorkload>(s.workload).transport);
  }
  const auto cut = [&](const auto& w) {
    if constexpr (requires { w.wafer; }) workload["wafer"] = to_json(w.wafer);
  };
  if (on_wafer(s)) std::visit(cut, s.workload);
  out["routing"] = to_json(s.routing, given.value("routing", Json::object()));
  if (s.speculation.kind != SpeculationKind::none) out["speculation"] = to_json(s.speculation, given.at("speculation"));
  out["calibration"] = s.calibration;
  return out;
}

// Views of `text`.
std::vector<std::string_view> split_pointer(std::string_view text) {
  if (text.starts_with('/')) text.remove_prefix(1);
  std::vector<std::string_view> tokens;
  tokens.reserve(4);
  for (std::size_t at = 0; at <= text.size();) {
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

EnumSet<Overlap> default_overlap(const Cluster& cluster, const Parallelism& p, const Recipe& recipe) {
  EnumSet<Overlap> overlap{Overlap::dp_reduce, Overlap::param_gather};
  if (p.tp > 1 && recipe.linear != DType::nvfp4) overlap.insert(Overlap::tp);  // switched off for NVFP4 there
  const bool plain = p.schedule == Schedule::gpipe || p.schedule == Schedule::one_f_one_b;  // the others send beside compute
  if (!plain) overlap.insert(Overlap::pp);
  const bool combines = p.schedule == Schedule::interleaved || (p.schedule == Schedule::one_f_one_b && p.pp == 1);
  if (p.ep > 1 && crosses_nodes(cluster, p) && combines) overlap.insert(Overlap::ep_1f1b);
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
  ReadFields known;
  read_rest(s, json, origin, known);
  s.resolved = echo(s, json);
  return s;
}

void ReadFields::forget(std::string_view field) {
  if (field == "workload") workload.reset();
  if (field == "recipe") recipe.reset();
  if (field == "parallelism") parallelism.reset();
  if (field == "routing") routing.reset();
}

namespace {

template <class Field, class Read>
const Field& kept(std::optional<Field>& field, const Read& read) {
  if (!field) field = read();
  return *field;
}

}  // namespace

void read_rest(Scenario& s, const Json& json, const std::string& origin, ReadFields& known) {
  ObjectReader reader(json, origin);
  reader.skip_all({"model", "hardware", "speculation", "description", "recipe", "parallelism", "workload", "routing"});
  s.assumptions.clear();
  s.parallelism = {};
  s.routing = {};
  s.speculation = {};
  const bool has_node = s.cluster.node.has_value();
  s.cluster.devices = reader.integer_or("devices", {1, 1 << 24}, has_node ? s.cluster.node->devices.value : 1);
  if (!reader.has("workload")) reader.fail("workload", "missing: {\"kind\": \"train\", ...} or {\"kind\": \"layer\", ...}");
  s.workload = kept(known.workload, [&] { return read_workload(reader.object("workload")); });
  ServeWorkload* serve = std::get_if<ServeWorkload>(&s.workload);
  if (!reader.has("devices") && serve == nullptr) assume(s, "devices: {} (one node)", s.cluster.devices);
  s.recipe = kept(known.recipe, [&] { return read_recipe(reader.has("recipe") ? reader.any("recipe") : Json("bf16"), reader.where("recipe")); });
  if (!reader.has("recipe") && serve == nullptr) assume(s, "recipe: bf16 (none given)");
  if (serve == nullptr && reader.has("parallelism")) {
    s.parallelism = kept(known.parallelism, [&] { return read_parallelism(reader.object("parallelism")); });
  } else if (serve == nullptr) {
    fill_parallelism(s);
  }
  if (reader.has("routing")) {
    const std::int64_t experts = experts_of(s.model);
    if (experts != std::exchange(known.experts, experts)) known.routing.reset();
    s.routing = kept(known.routing, [&] { return read_routing(reader.object("routing"), experts); });
  } else if (serve == nullptr) {
    assume(s, "routing: balanced (no load given)");
  }
  if (serve != nullptr && s.routing.balancer == Balancer::dynamic)
    reader.object("routing").fail("balancer", "dynamic replication is priced in training; of a deployment eplb is");
  if (reader.has("speculation")) {
    s.speculation = read_speculation(reader.object("speculation"), s.assumptions);
    if (s.speculation.kind != SpeculationKind::none) {
      if (serve == nullptr) reader.object("speculation").fail("kind", "speculation applies to serving");
      if (json["speculation"]["draft"] == "mtp" && s.model.mtp_layers.empty()) {
        reader.object("speculation").fail("draft", s.model.name + " has no multi-token-prediction module; \"eagle\" is a head of one layer");
      }
    }
  }
  s.calibration = reader.string_or("calibration", "auto");
  reader.finish();
  check_backends(s, origin);
  std::visit([&](auto& workload) { fill_transport(s, workload); }, s.workload);
  if (TrainWorkload* train = std::get_if<TrainWorkload>(&s.workload)) fill_train_defaults(s, *train, origin);
  if (serve != nullptr) fill_serve_defaults(s, *serve, json, origin);
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
  std::vector<std::string_view> parts = split_pointer(pointer);
  if (parts.size() > 1 && parts[0] == "hardware" && scenario.contains("hardware")) {
    scenario["hardware"] = find_hardware(scenario["hardware"], origin + "#/hardware").json;
    // The value of a fact is set through the fact, so that its source cannot outlive it.
    if (parts.back() == "value") parts.pop_back();
  }
  if (parts.size() > 1 && parts[0] == "model" && scenario.contains("model") && scenario["model"].is_string()) {
    scenario["model"] = Json{{"base", scenario["model"]}};  // keeps the name: answers say "mixtral-8x7b (changed)"
  }
  Json* at = &scenario;
  for (const std::string_view part : parts) {
    if (at->is_array()) {
      const bool digits = !part.empty() && part.size() < 6 && part.find_first_not_of("0123456789") == std::string::npos;
      const std::size_t index = digits ? std::stoul(std::string(part)) : at->size();
      if (index >= at->size()) {
        throw SpecError(where, fmt::format("\"{}\" is not an index of an array of {}", part,
                                                                  at->size()));
      }
      at = &(*at)[index];
    } else if (at->is_object() || at->is_null()) {
      at = &(*at)[part];
    } else {
      throw SpecError(where, fmt::format("nothing lies below \"{}\"", part));
    }
  }
  overlay(*at, value);
}

}  // namespace moeline
