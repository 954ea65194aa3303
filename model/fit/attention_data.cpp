#include "fit/attention_data.hpp"

#include "fit/device_names.hpp"
#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace moeline {
namespace {

std::vector<Parameter> training_parameters() {
  return {{"launch", "us", 30, 2, 100},         {"launch_backward", "us", 15, 1, 100},
          {"tensor", "of peak", 0.7, 0.1, 1.0}, {"crowding", "of tensor", 0.25, 0.001, 0.7, 1.0},
          {"tile", "us", 1, 0.01, 20, 0.5},     {"overlap", "exponent", 1.5, 1, 12, 1.0},
          {"sag", "of time", 0.1, 0.001, 0.6, 0.3}, {"sag_after", "us", 3000, 300, 50000, 0.3},
          {"backward", "of forward rate", 0.8, 0.2, 1.5},
          {"overlap_backward", "exponent", 3, 1, 12, 1.0}, {"wide", "of padding", 0.5, 0.01, 1.5, 0.3},
          {"wide_backward", "of padding", 0.5, 0.01, 1.5, 0.3}};
}

DType dtype_of(std::string_view name) { return name == "fp8" ? DType::fp8 : DType::bf16; }

std::string prefill_domain(const std::vector<PrefillRow>& rows) {
  return range("sequences", rows, [](const PrefillRow& r) { return r.core.sequences; }) + ", " +
         range("tokens", rows, [](const PrefillRow& r) { return r.core.queries; }) + ", " +
         range("heads", rows, [](const PrefillRow& r) { return r.core.heads; });
}

std::string decode_domain(const std::vector<DecodeShape>& rows) {
  return range("sequences", rows, [](const DecodeShape& r) { return r.sequences; }) + ", " +
         range("cached tokens", rows, [](const DecodeShape& r) { return r.keys; }) + ", " +
         range("heads", rows, [](const DecodeShape& r) { return r.heads; });
}

double prefill_us(const MeasuredRows<PrefillRow>& f, const std::vector<double>& v, const PrefillRow& r) {
  return prefill_terms(r.core, f.gpu, prefill_fit(f.key, v), r.context).time.in(microsecond);
}

double decode_us(const MeasuredRows<DecodeShape>& f, const std::vector<double>& v, const DecodeShape& r) {
  return decode_terms(r, f.gpu, decode_fit(f.key, v), false).time.in(microsecond);
}

std::vector<double> second_start(const FamilyData& data, const std::map<std::string, double>& changes) {
  std::vector<double> start;
  for (const Parameter& p : data.parameters) start.push_back(changes.contains(p.name) ? changes.at(p.name) : p.start);
  return start;
}

struct Shape {
  double sequences, queries, keys, heads, kv_heads, head_dim;
};

std::optional<Shape> shape_of(const Csv& csv, std::size_t i, bool latent) {
  const auto b = csv.number(i, "batch_size"), q = csv.number(i, "q_len"), k = csv.number(i, "kv_len");
  const auto h = csv.number(i, "num_heads"), kv = latent ? h : csv.number(i, "kv_heads");
  const auto d = latent ? 128.0 : csv.number(i, "head_dim");
  if (!b || !q || !k || !h || !kv || !d) return std::nullopt;
  return Shape{*b, *q, *k, *h, *kv, *d};
}

std::string reason_to_skip(const Csv& csv, std::size_t i, bool latent, const std::optional<Shape>& s) {
  const auto t = csv.number(i, "latency_us");
  if (!s || !t || !(*t > 0)) return "missing value";
  if (!latent && s->head_dim != 128) return "head dimension other than 128";
  if (!latent && csv.number(i, "window").value_or(0) > 0) return "sliding window";
  const std::string_view phase = csv.text(i, "phase");
  if (phase == "prefill" && s->queries != s->keys) return "chunked prefill";
  return phase == "prefill" || phase == "decode" ? "" : "unknown phase";
}

PrefillRow prefill_row(const Shape& s, bool latent, DType cache) {
  const AttentionCore core{.sequences = s.sequences, .heads = s.heads, .kv_heads = s.kv_heads, .queries = s.queries,
                           .keys = s.keys, .qk_dim = latent ? 192.0 : s.head_dim, .value_dim = s.head_dim};
  // A cache in fp8 moves the products to fp8 tensor cores, whatever the layer's format.
  return {core, {.products = cache, .around = bytes_around(core, cache)}};
}

DecodeShape decode_row(const Shape& s, bool latent, DType cache) {
  DecodeShape shape{.sequences = s.sequences, .heads = s.heads, .kv_heads = s.kv_heads, .keys = s.keys,
                    .qk_dim = s.head_dim, .value_dim = s.head_dim, .cache = cache, .products = cache, .latent = latent};
  if (!latent) return shape;
  shape.kv_heads = 1;
  shape.qk_dim = 576;     // 512 of the latent row, 64 rotary
  shape.value_dim = 512;
  return shape;
}

void read_row(const Csv& csv, std::size_t i, bool latent, FamilyBuilder<PrefillRow>& prefill,
              FamilyBuilder<DecodeShape>& decode) {
  const std::string device = device_name(csv.text(i, "gpu"));
  std::string library(csv.text(i, "framework"));
  library = library.substr(0, library.find('-'));
  const std::string layer(csv.text(i, "dtype") == "fp8" ? "fp8" : "bf16");
  const DType cache = dtype_of(csv.text(i, "kv_dtype"));
  const bool whole = csv.text(i, "phase") == "prefill";
  const FamilyKey key{device, std::string(latent ? "mla_" : "") + (whole ? "prefill" : "decode"), library,
                      layer + "/" + std::string(name(cache))};
  const bool blackwell = is_blackwell(device);
  const DecodeKernels kernels{
      .latent = latent, .reread = latent && blackwell, .vector = !latent, .blackwell = blackwell};
  FamilyData& data = whole ? prefill.data(key, device, prefill_parameters())
                           : decode.data(key, device, decode_parameters(kernels));
  const std::optional<Shape> s = shape_of(csv, i, latent);
  if (const std::string reason = reason_to_skip(csv, i, latent, s); !reason.empty()) {
    ++data.skipped[reason];
    return;
  }
  const std::string group = fmt::format("{}/{}", s->heads, s->kv_heads);
  const double t = *csv.number(i, "latency_us");
  if (whole) prefill.add(key, prefill_row(*s, latent, cache), t, s->queries, group);
  else decode.add(key, decode_row(*s, latent, cache), t, s->keys, group);
}

}  // namespace

std::vector<Parameter> prefill_parameters() {
  return {{"launch", "us", 10, 2, 40},          {"memory", "of HBM", 0.7, 0.05, 1.0, 1.0},
          {"tensor", "of peak", 0.7, 0.1, 1.0}, {"crowding", "of tensor", 0.25, 0.001, 0.7, 1.0},
          {"tile", "us", 3, 0.01, 20, 0.5},     {"overlap", "exponent", 1.5, 1, 12, 1.0},
          {"sag", "of time", 0.02, 0.001, 0.5, 0.3}, {"l2_speed", "of HBM", 2, 1, 12, 0.3}};
}

std::vector<Parameter> decode_parameters(DecodeKernels kernels) {
  // TensorRT-LLM's launch code for Blackwell splits at twice a step of 256 tokens and reckons that reducing a chunk takes as
  // long as walking 128 tokens, of about 1 ns each. Latent products reach what FlashMLA publishes for Hopper, 0.67 of peak.
  const Parameter shortest = kernels.blackwell ? Parameter{"shortest_chunk", "tokens", 512, 32, 2048, 2}
                                               : Parameter{"shortest_chunk", "tokens", 128, 32, 2048, 0.4};
  const Parameter combine_chunk = kernels.blackwell ? Parameter{"combine_chunk", "us", 0.13, 0.001, 1, 1}
                                                    : Parameter{"combine_chunk", "us", 0.05, 0.001, 1, 0.4};
  std::vector<Parameter> list{
      {"launch", "us", 9, 2, 30},               {"memory", "of HBM", 0.92, 0.4, 1.0, 5},
      {"tensor", "of peak", kernels.latent ? 0.7 : 0.5, 0.05, 1.0, 0.6}, {"token", "ns", 1, 0.1, 100, 0.4},
      {"chunk", "us", kernels.latent ? 4.0 : 0.5, 0.01, 10, 0.2}, shortest,
      {"combine", "us", 1, 0.01, 15, 0.4},      combine_chunk,
      {"whole_waves", "share", 0.8, 0.05, 1, 0.4}, {"overlap", "exponent", 4, 1, 12, 0.5},
      {"ramp", "us", 8, 0.05, 40, 0.4},         {"ramp_rate", "GB/s", 4000, 300, 100000, 0.4},
      {"query_memory", "of HBM", 0.3, 0.01, 1, 0.4}, {"l2_speed", "of HBM", 4, 1, 12, 0.5},
      {"l2_share", "of L2", 0.7, 0.1, 1.5, 1.2}, {"l2_sharpness", "exponent", 8, 1, 16, 0.5},
      {"partial_memory", "of HBM", 0.3, 0.01, 3, 0.3}};
  if (kernels.vector) {
    list.insert(list.end(), {{"vector_element", "ps", 0.31, 0.01, 3, 1.0}, {"vector_token", "ns", 20, 1, 200, 0.3},
                             {"vector_combine", "us", 4, 0.05, 20, 0.3}});
  }
  if (kernels.capped) list.push_back({"most_chunks", "", 24, 4, 160, 0.5});
  if (kernels.reread) list.push_back({"reread", "of cache", 0.4, 0.01, 1});
  return list;
}

PrefillFit prefill_fit(const FamilyKey& key, const std::vector<double>& v) {
  PrefillFit fit;
  fit.source = Source::fitted;
  std::size_t i = 0;
  fit.launch = v[i++] * microsecond;
  if (key.operation == "attention_backward") fit.launch_backward = v[i++] * microsecond;
  else fit.memory = v[i++];
  fit.tensor = v[i++];
  fit.crowding = v[i++];
  fit.tile = v[i++] * microsecond;
  fit.overlap = v[i++];
  fit.sag = v[i++];
  if (key.operation != "attention_backward") {
    fit.l2_speed = v[i++];
    return fit;
  }
  fit.sag_after = v[i++] * microsecond;
  fit.backward = v[i++];
  fit.overlap_backward = v[i++];
  fit.wide = v[i++];
  fit.wide_backward = v[i++];
  return fit;
}

DecodeFit decode_fit(const FamilyKey& key, const std::vector<double>& v) {
  DecodeFit fit;
  fit.source = Source::fitted;
  std::size_t i = 0;
  fit.launch = v[i++] * microsecond;
  fit.memory = v[i++];
  fit.tensor = v[i++];
  fit.token = v[i++] * nanosecond;
  fit.chunk = v[i++] * microsecond;
  fit.shortest_chunk = v[i++];
  fit.combine = v[i++] * microsecond;
  fit.combine_chunk = v[i++] * microsecond;
  fit.whole_waves = v[i++];
  fit.overlap = v[i++];
  fit.ramp = v[i++] * microsecond;
  fit.ramp_rate = v[i++] * gigabyte_per_second;
  fit.query_memory = v[i++];
  fit.l2_speed = v[i++];
  fit.l2_share = v[i++];
  fit.l2_sharpness = v[i++];
  fit.partial_memory = v[i++];
  if (key.library == "flashinfer" && i < v.size()) {
    fit.most_chunks = v[i++];
  } else if (key.operation == "decode" && i < v.size()) {
    fit.vector_element = 1e-3 * v[i++] * nanosecond;
    fit.vector_token = v[i++] * nanosecond;
    fit.vector_combine = v[i++] * microsecond;
  } else if (i < v.size()) {
    fit.reread = v[i++];
  }
  return fit;
}

std::vector<FamilyData> attention_families(FamilyBuilder<PrefillRow>& prefill, FamilyBuilder<DecodeShape>& decode) {
  std::vector<FamilyData> list;
  prefill.finish(list, prefill_us, prefill_domain);
  const std::size_t prefills = list.size();
  decode.finish(list, decode_us, decode_domain);
  const std::map<std::string, double> whole{{"tensor", 0.9}, {"overlap", 3}, {"tile", 0.5}};
  const std::map<std::string, double> single{
      {"ramp", 20}, {"ramp_rate", 3000}, {"l2_speed", 1.3}, {"shortest_chunk", 300}};
  std::size_t at = 0;
  prefill.each([&](const auto& rows) {
    FamilyData& data = list[at++];
    data.surface.axes = {"tokens", "sequences x heads"};
    data.surface.knots = {{4, 7, 9, 10.5, 12, 13.5, 15}, {0, 3, 5, 7, 9, 12}};
    for (const PrefillRow& row : rows) {
      const auto x = prefill_coordinates(row.core);
      data.coordinates.emplace_back(x.begin(), x.end());
    }
  });
  decode.each([&](const auto& rows) {
    FamilyData& data = list[at++];
    data.surface.axes = {"cached tokens", "caches", "heads per cache"};
    data.surface.knots = {{6, 9, 12, 15, 17}, {0, 4, 8, 12}, {0, 3, 6}};
    for (const DecodeShape& row : rows) {
      const auto x = decode_coordinates(row);
      data.coordinates.emplace_back(x.begin(), x.end());
    }
  });
  for (std::size_t i = 0; i < list.size(); ++i) list[i].starts = {second_start(list[i], i < prefills ? whole : single)};
  return list;
}

bool is_attention_csv(const Csv& csv) {
  return csv.has_all({"gpu", "framework", "phase", "batch_size", "q_len", "kv_len", "num_heads", "kv_dtype",
                      "latency_us"});
}

std::vector<FamilyData> attention_families(const Csv& csv) {
  const bool latent = !csv.has("kv_heads");
  FamilyBuilder<PrefillRow> prefill;
  FamilyBuilder<DecodeShape> decode;
  for (std::size_t i = 0; i < csv.rows(); ++i) read_row(csv, i, latent, prefill, decode);
  return attention_families(prefill, decode);
}

bool is_training_attention_csv(const Csv& csv) {
  return csv.has_all({"gpu", "op", "stage", "batch", "seq", "q_heads", "kv_heads", "qk_head_dim", "v_head_dim",
                      "latency_us"});
}

std::vector<FamilyData> training_attention_families(const Csv& csv) {
  FamilyBuilder<PrefillRow> builder;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const std::string_view op = csv.text(i, "op");
    if (op != "sdp_fwd" && op != "sdp_bwd") continue;
    const bool a100 = csv.text(i, "gpu").starts_with("A100");
    // The PCIe card has the multiprocessors and the datasheet peak of the SXM module, and 300 W.
    const FamilyKey key{a100 ? "a100-pcie" : "b200-sxm", "attention_backward", "te", "bf16"};
    FamilyData& data = builder.data(key, a100 ? "a100-sxm" : "b200-sxm", training_parameters());
    const auto b = csv.number(i, "batch"), s = csv.number(i, "seq"), h = csv.number(i, "q_heads");
    const auto kv = csv.number(i, "kv_heads"), qk = csv.number(i, "qk_head_dim"), v = csv.number(i, "v_head_dim");
    const auto t = csv.number(i, "latency_us");
    if (!b || !s || !h || !kv || !qk || !v || !t || !(*t > 0)) {
      ++data.skipped["missing value"];
      continue;
    }
    if (csv.text(i, "stage") != "causal") {
      ++data.skipped["not causal"];
      continue;
    }
    const AttentionCore core{.sequences = *b, .heads = *h, .kv_heads = *kv, .queries = *s, .keys = *s, .qk_dim = *qk,
                             .value_dim = *v, .backward = op == "sdp_bwd"};
    builder.add(key, {core, {}}, *t, *s, fmt::format("{}/{}/{}", *h, *kv, *qk));
  }
  std::vector<FamilyData> list;
  builder.finish(list, prefill_us, prefill_domain);
  for (FamilyData& data : list) data.starts = {second_start(data, {{"overlap", 6}, {"sag", 0.2}, {"crowding", 0.1}})};
  return list;
}

}  // namespace moeline
