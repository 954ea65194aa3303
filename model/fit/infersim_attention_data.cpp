#include "fit/infersim_attention_data.hpp"

#include <fmt/format.h>

#include "fit/attention_data.hpp"
#include "fit/family_builder.hpp"

namespace moeline {
namespace {

// A first call loads and tunes: such rows take longer than a problem at least as large of the same heads.
constexpr double kWarmUp = 1.4;

struct Row {
  std::string device, op, phase;
  DType cache;
  double batch, queries, keys, heads, kv_heads, dim, time;
};

std::optional<Row> row_of(const Csv& csv, std::size_t i) {
  const auto b = csv.number(i, "batch"), q = csv.number(i, "q_len"), k = csv.number(i, "kv_len"),
             h = csv.number(i, "q_heads");
  const auto kv = csv.number(i, "kv_heads"), d = csv.number(i, "head_dim"), t = csv.number(i, "latency_us");
  if (!b || !q || !k || !h || !kv || !d || !t || !(*t > 0)) return std::nullopt;
  return Row{csv.text(i, "gpu") == "H20" ? "h20-sxm" : "h800-sxm",
             std::string(csv.text(i, "op")),
             std::string(csv.text(i, "phase")),
             csv.text(i, "kv_dtype") == "fp8" ? DType::fp8 : DType::bf16,
             *b,
             *q,
             *k,
             *h,
             *kv,
             *d,
             *t};
}

bool same_heads(const Row& a, const Row& b) {
  return a.device == b.device && a.op == b.op && a.phase == b.phase && a.cache == b.cache && a.heads == b.heads &&
         a.kv_heads == b.kv_heads && a.dim == b.dim;
}

bool warm_up(const Row& row, const std::vector<Row>& all) {
  return std::any_of(all.begin(), all.end(), [&](const Row& other) {
    return same_heads(row, other) && other.batch >= row.batch && other.keys >= row.keys &&
           row.time > kWarmUp * other.time;
  });
}

// H20, 64 heads over 2: at 131,072 tokens one sequence takes 2,524 us and 32 take 2,558.
bool not_split(const Row& r) {
  return r.device == "h20-sxm" && r.phase == "decode" && r.heads == 64 && r.kv_heads == 2;
}

std::string reason_to_skip(const Row& r, const std::vector<Row>& all) {
  if (r.op.starts_with("dsa_")) return "sparse attention: no equation here";
  if (not_split(r)) return "a kernel that does not split the cache, unlike its neighbours";
  return warm_up(r, all) ? "slower than a larger problem: warm-up" : "";
}

PrefillRow prefill_row(const Row& r) {
  const bool latent = r.op == "mla_unabsorbed";
  const AttentionCore core{.sequences = r.batch,
                           .heads = r.heads,
                           .kv_heads = r.kv_heads,
                           .queries = r.queries,
                           .keys = r.keys,
                           .qk_dim = latent ? 192 : r.dim,
                           .value_dim = r.dim};
  return {core, {}};  // nothing around the kernel
}

DecodeShape decode_row(const Row& r) {
  const bool latent = r.op == "mla_absorbed";
  return {.sequences = r.batch,
          .heads = r.heads,
          .kv_heads = r.kv_heads,
          .keys = r.keys,
          .qk_dim = latent ? 576 : r.dim,
          .value_dim = r.dim,
          .cache = r.cache,
          .products = DType::bf16,
          .latent = latent};
}

}  // namespace

bool is_infersim_attention_csv(const Csv& csv) {
  return csv.has_all({"gpu", "op", "phase", "kv_dtype", "batch", "q_len", "kv_len", "q_heads", "kv_heads", "head_dim",
                      "dsa_topk", "latency_us"});
}

std::vector<FamilyData> infersim_attention_families(const Csv& csv) {
  std::vector<Row> rows;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    if (const std::optional<Row> row = row_of(csv, i)) rows.push_back(*row);
  }
  FamilyBuilder<PrefillRow> prefill;
  FamilyBuilder<DecodeShape> decode;
  for (const Row& r : rows) {
    const bool latent = r.op.starts_with("mla_"), whole = r.phase == "prefill";
    const std::string library = whole ? "fa3" : latent ? "flashmla" : "flashinfer";
    const std::string operation = r.op.starts_with("dsa_") ? r.op : std::string(latent ? "mla_" : "") + r.phase;
    const FamilyKey key{r.device, operation, library, "bf16/" + std::string(name(r.cache))};
    FamilyData& data = whole ? prefill.data(key, r.device, prefill_parameters())
                             : decode.data(key, r.device, decode_parameters({.latent = latent, .capped = key.library == "flashinfer"}));
    if (const std::string reason = reason_to_skip(r, rows); !reason.empty()) {
      ++data.skipped[reason];
      continue;
    }
    const bool one_shape = latent || r.cache == DType::fp8;
    const std::string group =
        one_shape ? fmt::format("{}", r.keys) : fmt::format("{}/{}/{}", r.heads, r.kv_heads, r.dim);
    if (whole)
      prefill.add(key, prefill_row(r), r.time, r.queries, group);
    else
      decode.add(key, decode_row(r), r.time, r.keys, group);
  }
  return attention_families(prefill, decode);
}

}  // namespace moeline
