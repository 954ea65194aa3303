#include "plan/serving/changes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "plan/serving/stack.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

constexpr std::array kDegrees{std::pair{"tp", &ServeLayout::tp}, std::pair{"dp", &ServeLayout::dp}, std::pair{"pp", &ServeLayout::pp},
                              std::pair{"ep", &ServeLayout::ep}, std::pair{"etp", &ServeLayout::etp}};

Json layout_json(const ServeLayout& layout) {
  Json json;
  for (const auto& [name, degree] : kDegrees) json[name] = layout.*degree;
  return json;
}
Json pool_json(const ServeLayout& layout, std::int64_t workers) {
  Json json = layout_json(layout);
  json["workers"] = workers;
  json["attention_dp"] = layout.dp > 1;
  return json;
}

// "tp 8 -> 16, ep 8 -> 16"
std::string difference(const ServeLayout& from, const ServeLayout& to) {
  std::string text;
  for (const auto& [name, degree] : kDegrees) {
    if (from.*degree != to.*degree) text += fmt::format("{}{} {} -> {}", text.empty() ? "" : ", ", name, from.*degree, to.*degree);
  }
  return text;
}

bool scale(std::int64_t& degree, bool up) {
  if (!up && degree % 2 != 0) return false;
  degree = up ? 2 * degree : degree / 2;
  return true;
}

std::vector<ServeLayout> layouts_beside(const ServeLayout& now, bool has_experts) {
  std::vector<ServeLayout> list;
  const auto add = [&](const ServeLayout& next) {
    const bool whole = !has_experts || next.ep * next.etp == next.width();
    if (whole && next != now && std::find(list.begin(), list.end(), next) == list.end()) list.push_back(next);
  };
  for (const bool up : {true, false}) {
    ServeLayout wide = now, deep = now, cut = now, groups = now;
    const bool spread = now.ep > 1 || now.etp == 1;
    if (scale(now.dp > 1 ? wide.dp : wide.tp, up) && (!has_experts || scale(spread ? wide.ep : wide.etp, up))) add(wide);
    if (scale(deep.pp, up)) add(deep);
    if (!has_experts) continue;
    if (scale(cut.ep, up) && scale(cut.etp, !up)) add(cut);
    if (scale(groups.tp, up) && scale(groups.dp, !up)) add(groups);
  }
  if (!has_experts) return list;
  const std::int64_t width = now.width();
  ServeLayout apart = now, together = now, spread = now, cut = now;
  apart.tp = together.dp = spread.etp = cut.ep = 1;
  apart.dp = together.tp = spread.ep = cut.etp = width;
  for (const ServeLayout& next : {apart, together, spread, cut}) add(next);
  return list;
}

std::string assigned(const std::string& pointer, const Json& value) { return pointer + "=" + value.dump(); }
std::string_view yes(bool value) { return value ? "true" : "false"; }

class Changes {
 public:
  Changes(const Json& json, const Scenario& s, const ServeEvaluation& answer)
      : s_(s), w_(std::get<ServeWorkload>(s.workload)), answer_(answer), apart_(w_.mode == ServeMode::disaggregated),
        says_devices_(json.contains("devices")), says_cut_(json.contains("parallelism")), has_experts_(experts_of(s.model) > 0) {}

  std::vector<Change> take() && {
    if (apart_) {
      pool("prefill", w_.prefill, w_.decode);
      pool("decode", w_.decode, w_.prefill);
    } else {
      workers();
    }
    replicas();
    mode();
    formats();
    software();
    drafts();
    routing();
    if (!says_cut_) pin_cut();
    return std::move(list_);
  }

 private:
  // A cut that was left out follows the weights; here it stays.
  void pin_cut() {
    for (Change& change : list_) {
      const auto sets = [&](const std::string& pointer) {
        return std::any_of(change.set.begin(), change.set.end(), [&](const std::string& field) { return field.starts_with(pointer + "="); });
      };
      if (sets("/parallelism")) continue;
      if (!apart_) change.set.push_back(assigned("/parallelism", layout_json(w_.decode.layout)));
      for (const auto& [pointer, pool] : {std::pair{"/workload/prefill", &w_.prefill}, std::pair{"/workload/decode", &w_.decode}}) {
        if (apart_ && !sets(pointer)) change.set.push_back(assigned(pointer, pool_json(pool->layout, pool->workers)));
      }
    }
  }
  std::int64_t worker() const { return apart_ ? w_.prefill.devices() + w_.decode.devices() : w_.decode.layout.devices(); }

  // Adds a change that leaves the machine `devices`, or as many as whole workers, or deployments, of `each` take.
  void add(Change change, std::int64_t each, std::int64_t devices) {
    const std::int64_t now = s_.cluster.devices, to = std::max<std::int64_t>(1, devices / each) * each;
    if (to != now) change.label += fmt::format(", devices {} -> {}", now, to);
    if (to != now || !says_devices_) change.set.push_back(fmt::format("/devices={}", to));
    list_.push_back(std::move(change));
  }
  static std::string replicas_text(std::int64_t before, std::int64_t after) {
    return before == after ? "" : fmt::format(", replicas {} -> {}", before, after);
  }
  void offer(std::string_view name, std::string_view from, std::string_view to, const std::string& key) {
    if (from != to) list_.push_back(switched(name, from, to, "/workload/" + key));
  }
  void flip(const std::string& key, bool now) { offer(key, yes(now), yes(!now), key); }

  void workers() {
    const ServeLayout& now = w_.decode.layout;
    for (const ServeLayout& next : layouts_beside(now, has_experts_)) {
      const std::int64_t devices = s_.cluster.devices, after = std::max<std::int64_t>(1, devices / next.devices());
      Change change{difference(now, next) + replicas_text(devices / worker(), after), {assigned("/parallelism", layout_json(next))}};
      if ((next.dp > 1) != w_.attention_dp) change.set.push_back(fmt::format("/workload/attention_dp={}", next.dp > 1));
      add(std::move(change), next.devices(), devices);
    }
  }
  void pool(const std::string& key, const Pool& now, const Pool& other) {
    const auto change_to = [&](const std::string& label, const ServeLayout& next, std::int64_t workers) {
      const std::int64_t deployment = workers * next.devices() + other.devices();
      add({key + " " + label, {assigned("/workload/" + key, pool_json(next, workers))}}, deployment, s_.cluster.devices / worker() * deployment);
    };
    for (const ServeLayout& next : layouts_beside(now.layout, has_experts_)) change_to(difference(now.layout, next), next, now.workers);
    for (const std::int64_t workers : {now.workers - 1, now.workers + 1}) {
      if (workers > 0) change_to(fmt::format("workers {} -> {}", now.workers, workers), now.layout, workers);
    }
  }
  void replicas() {
    const std::int64_t devices = s_.cluster.devices, now = devices / worker();
    add({fmt::format("replicas {} -> {}", now, 2 * now), {}}, worker(), 2 * devices);
    if (now % 2 == 0) add({fmt::format("replicas {} -> {}", now, now / 2), {}}, worker(), devices / 2);
  }
  // One worker computes prompts, and of several as many as prompts take of their time now.
  void mode() {
    const ServeLayout& layout = w_.decode.layout;
    if (apart_) {
      add({"prompts and decoding on the same workers",
           {"/workload/mode=aggregated", "/workload/prefill=null", "/workload/decode=null", assigned("/parallelism", layout_json(layout)),
            fmt::format("/workload/attention_dp={}", layout.dp > 1)}},
          layout.devices(), s_.cluster.devices);
      return;
    }
    if (w_.static_batch) return;
    const std::int64_t all = std::max<std::int64_t>(2, s_.cluster.devices / worker());
    const std::int64_t prompts = std::clamp<std::int64_t>(std::llround(static_cast<double>(all) * answer_.utilisation), 1, all - 1);
    add({fmt::format("prompts apart, {} + {} workers", prompts, all - prompts),
         {"/workload/mode=disaggregated", assigned("/workload/prefill", pool_json(layout, prompts)),
          assigned("/workload/decode", pool_json(layout, all - prompts))}},
        all * layout.devices(), s_.cluster.devices);
  }
  void formats() {
    std::vector<std::string> notes;
    const Gpu& gpu = std::get<Gpu>(s_.cluster.device);
    const bool narrow = served_formats(s_.recipe, w_, s_.model, gpu, notes).cache == DType::fp8;
    offer("kv_cache", narrow ? "fp8" : "bf16", narrow ? "bf16" : "fp8", "kv_cache");
    for (const auto& [recipe, peak] :
         {std::pair{"bf16", &TensorPeaks::bf16}, std::pair{"fp8_block", &TensorPeaks::fp8}, std::pair{"nvfp4", &TensorPeaks::fp4}}) {
      if (gpu.dense_peak.*peak && s_.recipe.name != recipe) list_.push_back(switched("recipe", s_.recipe.name, recipe, "/recipe"));
    }
  }
  void software() {
    for (const Stack stack : {Stack::trtllm, Stack::vllm, Stack::sglang}) offer("stack", name(w_.stack), name(stack), "stack");
    add_halved_and_doubled(list_, "token_budget", "/workload/token_budget", std::llround(stack_conduct(w_).token_budget));
    if (w_.max_batch > 0) add_halved_and_doubled(list_, "max_batch", "/workload/max_batch", w_.max_batch);
    flip("chunked_prefill", w_.chunked_prefill);
    flip("cuda_graph", w_.cuda_graph);
    const ServeLayout& layout = w_.decode.layout;
    if (layout.width() == 1) return;
    flip("two_batch_overlap", w_.two_batch_overlap);
    if (!has_experts_) return;
    const ExpertTransport now = decode_transport(w_, layout, s_.cluster);
    const std::int64_t near = s_.cluster.fabric[0].span.value;
    for (const ExpertTransport next : {ExpertTransport::allreduce, ExpertTransport::allgather, ExpertTransport::deepep, ExpertTransport::nvlink}) {
      if (next == ExpertTransport::allreduce && layout.dp > 1) continue;  // sums would mix the tokens of groups
      if (next == ExpertTransport::allgather && layout.dp == 1) continue;
      if (next == ExpertTransport::nvlink && (near <= 8 || layout.width() > near)) continue;  // a kernel of racks
      offer("transport", name(now), name(next), "transport");
    }
  }
  void drafts() {
    const Speculation& asked = s_.speculation;
    if (asked.kind == SpeculationKind::none) return;
    for (const SpeculationKind kind : {SpeculationKind::none, SpeculationKind::sd, SpeculationKind::ssd}) {
      if (kind == asked.kind || (kind == SpeculationKind::ssd && asked.draft != Draft::model)) continue;
      list_.push_back(switched("speculation", name(asked.kind), name(kind), "/speculation/kind"));
    }
    const std::int64_t now = answer_.round ? answer_.round->drafted : 0;
    for (const std::int64_t next : {now - 1, now + 1}) {
      if (now > 0 && next > 0) list_.push_back(switched("draft_tokens", std::to_string(now), std::to_string(next), "/speculation/draft_tokens"));
    }
    if (asked.kind == SpeculationKind::ssd) add_halved_and_doubled(list_, "draft_devices", "/speculation/draft_devices", asked.draft_devices);
  }
  void routing() {
    const std::int64_t ep = has_experts_ ? std::max(w_.decode.layout.ep, w_.prefill.layout.ep) : 1;
    add_load(list_, s_.routing, ep);
    if (ep == 1 || s_.routing.popularity == Popularity::balanced || s_.routing.balancer != Balancer::none) return;
    Json spared = s_.resolved["routing"];
    spared["balancer"] = name(Balancer::eplb);
    spared["redundant_experts"] = w_.decode.layout.ep;
    list_.push_back({"eplb, a spare expert on each rank", {assigned("/routing", spared)}});
  }

  const Scenario& s_;
  const ServeWorkload& w_;
  const ServeEvaluation& answer_;
  const bool apart_, says_devices_, says_cut_, has_experts_;
  std::vector<Change> list_;
};

}  // namespace

Json deployment(const Json& json, const Scenario& s) {
  const ServeWorkload& w = std::get<ServeWorkload>(s.workload);
  Json base = json;
  base["devices"] = s.cluster.devices;
  if (w.mode == ServeMode::disaggregated) {
    base["workload"]["prefill"] = pool_json(w.prefill.layout, w.prefill.workers);
    base["workload"]["decode"] = pool_json(w.decode.layout, w.decode.workers);
  } else {
    base["parallelism"] = layout_json(w.decode.layout);
    base["workload"]["attention_dp"] = w.decode.layout.dp > 1;
  }
  if (experts_of(s.model) > 0) base["routing"] = s.resolved["routing"];
  return base;
}

std::vector<Change> deployment_changes(const Json& json, const Scenario& scenario, const ServeEvaluation& answer) {
  return Changes(json, scenario, answer).take();
}

}  // namespace moeline
