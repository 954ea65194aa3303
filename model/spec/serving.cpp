#include "spec/serving.hpp"

#include <algorithm>
#include <numeric>

#include "spec/json.hpp"

namespace moeline {
namespace {

constexpr IntegerRange kDegree{1, 1 << 16};
const std::vector<std::string> kStackNames{"trtllm", "vllm", "sglang"};
const std::vector<std::string> kModeNames{"aggregated", "disaggregated"};
const std::vector<std::string> kTransportNames{"allreduce", "allgather", "deepep", "nvlink"};

template <class E>
E read_name(ObjectReader& reader, std::string_view key, const std::vector<std::string>& names) {
  const auto found = std::find(names.begin(), names.end(), reader.one_of(key, names));
  return static_cast<E>(found - names.begin());
}

std::string one_of_or(ObjectReader& reader, std::string_view key, const std::vector<std::string>& names) {
  reader.skip(key);
  return reader.has(key) ? reader.one_of(key, names) : names.front();
}

Pool read_pool(ObjectReader reader) {
  Pool pool;
  pool.workers = reader.integer_or("workers", kDegree, 1);
  pool.asked = read_layout_request(reader);
  if (reader.has("attention_dp")) pool.asked.attention_dp = reader.boolean("attention_dp");
  reader.skip("attention_dp");
  reader.finish();
  return pool;
}

void read_load(ObjectReader& reader, ServeWorkload& serve) {
  serve.input = reader.integer_or("input", {1, 1 << 26}, serve.input);
  serve.output = reader.integer_or("output", {1, 1 << 26}, serve.output);
  serve.length_ratio = reader.number_or("length_ratio", 0.01, 1, 1);
  serve.requests = reader.integer_or("requests", kPositive, 0);
  const bool open = reader.has("request_rate");
  serve.concurrency = reader.integer_or("concurrency", {1, 1 << 22}, open ? 0 : 64);
  reader.skip("request_rate");
  if (open) serve.request_rate = reader.number("request_rate", 1e-9, 1e9);
  serve.static_batch = one_of_or(reader, "batching", {"continuous", "static"}) == "static";
  if (open && serve.concurrency > 0) reader.fail("concurrency", "given beside request_rate; a loop is closed or open");
  if (open && serve.static_batch) reader.fail("batching", "a static batch has no request_rate");
}

void read_software(ObjectReader& reader, ServeWorkload& serve) {
  for (const char* key : {"stack", "kv_cache", "transport", "host_overhead"}) reader.skip(key);
  serve.stack_given = reader.has("stack");
  if (serve.stack_given) serve.stack = read_name<Stack>(reader, "stack", kStackNames);
  if (reader.has("kv_cache")) {
    serve.kv_cache = reader.one_of("kv_cache", {"bf16", "fp8"}) == "fp8" ? DType::fp8 : DType::bf16;
  }
  if (reader.has("transport")) serve.transport = read_name<ExpertTransport>(reader, "transport", kTransportNames);
  if (reader.has("host_overhead")) serve.host_overhead = reader.quantity<Dimension{.second = 1}>("host_overhead");
  serve.attention_dp = reader.boolean_or("attention_dp", false);
  serve.token_budget = reader.integer_or("token_budget", {1, 1 << 24}, 0);
  serve.max_batch = reader.integer_or("max_batch", {1, 1 << 22}, 0);
  serve.block = reader.integer_or("block", {1, 1 << 16}, 0);
  serve.chunked_prefill = reader.boolean_or("chunked_prefill", true);
  serve.two_batch_overlap = reader.boolean_or("two_batch_overlap", false);
  serve.cuda_graph = reader.boolean_or("cuda_graph", true);
  serve.prefix_hit_rate = reader.number_or("prefix_hit_rate", 0, 1, 0);
  serve.memory_fraction = reader.number_or("memory_fraction", 0.01, 1, 0.9);
}

}  // namespace

LayoutRequest read_layout_request(ObjectReader& reader) {
  LayoutRequest request;
  const auto read = [&](std::string_view key, std::optional<std::int64_t>& field) {
    reader.skip(key);
    if (!reader.has(key) || reader.any(key) == "auto") return;
    field = reader.integer(key, kDegree);
  };
  read("tp", request.tp);
  read("pp", request.pp);
  read("ep", request.ep);
  read("etp", request.etp);
  read("dp", request.dp);
  for (const char* key : {"cp", "vpp"}) {
    if (reader.integer_or(key, kDegree, 1) != 1) reader.fail(key, "cuts training steps; serving takes tp, pp, ep, etp, dp");
  }
  reader.skip_all({"zero", "schedule"});
  return request;
}

ServeLayout layout_of(const LayoutRequest& r, std::int64_t experts) {
  ServeLayout layout{.tp = r.tp.value_or(1), .pp = r.pp.value_or(1)};
  const std::int64_t ep = experts > 0 ? r.ep.value_or(1) : 1;
  const std::int64_t ranks = ep * r.etp.value_or(1);
  if (r.attention_dp.value_or(false)) {
    layout.dp = r.dp.value_or(layout.tp);
    if (!r.dp) layout.tp = 1;
  }
  // Experts over more ranks than attention is cut into: the others hold attention groups of their own.
  if (ranks > layout.width()) layout.dp = std::max<std::int64_t>(1, ranks / layout.tp);
  if (experts == 0) return layout;
  layout.ep = ep;
  layout.etp = r.etp.value_or(std::max<std::int64_t>(1, layout.width() / ep));
  return layout;
}

ServeWorkload read_serve(ObjectReader& reader) {
  ServeWorkload serve;
  read_load(reader, serve);
  read_software(reader, serve);
  serve.mode = static_cast<ServeMode>(one_of_or(reader, "mode", kModeNames) == "disaggregated");
  const bool apart = serve.mode == ServeMode::disaggregated;
  for (const auto& [key, pool] : {std::pair{"prefill", &serve.prefill}, std::pair{"decode", &serve.decode}}) {
    if (reader.has(key) && !apart) reader.fail(key, "pools of their own need \"mode\": \"disaggregated\"");
    if (reader.has(key)) *pool = read_pool(reader.object(key));
    reader.skip(key);
  }
  return serve;
}

Json to_json(const ServeLayout& l) {
  Json json{{"tp", l.tp}, {"pp", l.pp}, {"ep", l.ep}, {"etp", l.etp}};
  if (l.dp > 1) json["dp"] = l.dp;
  return json;
}

std::string_view name(Stack stack) { return kStackNames[static_cast<std::size_t>(stack)]; }
std::string_view name(ServeMode mode) { return kModeNames[static_cast<std::size_t>(mode)]; }
std::string_view name(ExpertTransport transport) { return kTransportNames[static_cast<std::size_t>(transport)]; }

}  // namespace moeline
