#include "fit/deepgemm_data.hpp"

#include <cmath>
#include <set>
#include <tuple>

#include "fit/family_builder.hpp"
#include "fit/gemm_data.hpp"
#include "fit/training_gemm_data.hpp"
#include "gpu/gemm.hpp"

namespace moeline {
namespace {

constexpr double kRepeats = 30;     // DeepGEMM's own timer runs a kernel 30 times, flushing L2 in between
constexpr double kUneven = 0.3;     // InferSim's benchmark draws an expert's rows from 0.7 to 1.3 of the stated number
constexpr double kDigits = 0.0005;  // utilisations are printed with three decimals or more
constexpr double kFinest = 0.02;    // relative rounding up to which a printed utilisation tells the rows

std::string device_named(std::string_view gpu) { return gpu.starts_with("H20") ? "h20-sxm" : "h800-sxm"; }

std::vector<Parameter> grouped_parameters() {
  return {{"launch", "us", 5, 0.5, 60},
          {"tensor", "of peak", 0.8, 0.3, 1.05},
          {"memory", "of HBM", 0.85, 0.3, 1.0},
          {"load", "GB/s per SM", 120, 5, 600},
          {"k_step", "ns per 128 B", 100, 1, 2000},
          {"epilogue", "GB/s per SM", 90, 5, 4000},
          {"leak", "of the smaller bound", 0.25, 0.001, 1.0},
          {"expert", "us per expert", 0.02, 0.001, 5}};
}

double gemm_us(const MeasuredRows<Gemm>& f, const std::vector<double>& v, const Gemm& g) {
  const double loop = kRepeats * 2 * g.m * g.n * g.k / f.gpu.dense_peak.of(g.operands)->value.in(flop_per_second);
  const GemmConditions conditions{.sustained = std::clamp(std::log10(loop / 5e-3) / 1.5, 0.0, 1.0)};
  return gemm_terms(g, f.gpu, gemm_fit(f.key, v), conditions).time.in(microsecond);
}

struct Experts {
  GroupedGemm gemm;
  double uneven;
};

double grouped_us(const MeasuredRows<Experts>& f, const std::vector<double>& v, const Experts& e) {
  return gemm_terms(e.gemm, f.gpu, grouped_gemm_fit(f.key, v), {.uneven = e.uneven}).time.in(microsecond);
}

std::string gemm_domain(const std::vector<Gemm>& rows) {
  return range("m", rows, [](const Gemm& g) { return g.m; }) + ", " +
         range("n", rows, [](const Gemm& g) { return g.n; }) + ", " +
         range("k", rows, [](const Gemm& g) { return g.k; });
}

std::string grouped_domain(const std::vector<Experts>& rows) {
  return range("experts", rows, [](const Experts& e) { return e.gemm.groups; }) + ", " +
         range("rows of one", rows, [](const Experts& e) { return e.gemm.m; });
}

FamilyKey dense_key(std::string_view gpu) { return {device_named(gpu), "gemm", "deepgemm", "fp8_block"}; }
FamilyKey grouped_key(std::string_view gpu, bool masked) {
  return {device_named(gpu), masked ? "grouped_gemm_masked" : "grouped_gemm", "deepgemm", "fp8_block"};
}

Gemm dense(double m, double n, double k) { return {.m = m, .n = n, .k = k, .operands = DType::fp8_block}; }

void add_dense(FamilyBuilder<Gemm>& builder, const FamilyKey& key, const Gemm& g, double t) {
  builder.add(key, g, t, g.m, fmt::format("{}/{}", g.n, g.k));
}

// H800 has one model's experts, cut over more and more ranks; H20 has several models.
void add_grouped(FamilyBuilder<Experts>& builder, const FamilyKey& key, const Experts& e, double t, double hidden,
                 double inter) {
  const bool one_model = key.device == "h800-sxm";
  builder.add(key, e, t, e.gemm.m, one_model ? fmt::format("{}", e.gemm.groups) : fmt::format("{}/{}", hidden, inter));
}

// Tile rows and leak decide between memory- and math-bound minima: start once from a fast main loop as well.
std::vector<double> fast_start(const std::vector<Parameter>& parameters) {
  std::vector<double> start;
  for (const Parameter& p : parameters) {
    start.push_back(p.name == "tensor" ? 0.95 : p.name == "load" ? 200 : p.name == "k_step" ? 60 : p.start);
  }
  return start;
}

std::vector<FamilyData> finished(FamilyBuilder<Gemm>& gemms, FamilyBuilder<Experts>& grouped) {
  std::vector<FamilyData> list;
  gemms.finish(list, gemm_us, gemm_domain);
  grouped.finish(list, grouped_us, grouped_domain);
  for (FamilyData& data : list) data.starts = {fast_start(data.parameters)};
  return list;
}

// Rows per expert that were timed: from the printed utilisation where its digits suffice, else as stated.
double timed_rows(double stated, std::optional<double> utilisation, double t, const GroupedGemm& g, const Gpu& gpu) {
  if (!utilisation || kDigits > kFinest * *utilisation) return stated;
  const double peak = gpu.dense_peak.fp8->value.in(flop_per_second);
  const double rows = *utilisation * peak * t * 1e-6 / (2 * g.groups * g.n * g.k);
  return rows > 0.5 * stated && rows < 2 * stated ? rows : stated;
}

// The newest release in the file; older rows time older kernels, and unchanged ones are printed again.
std::string newest(const Csv& csv) {
  std::string last;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const std::string version(csv.text(i, "version"));
    const auto date = [](const std::string& text) { return text.substr(text.find(' ') + 1); };
    if (version.starts_with("README") && (last.empty() || date(version) > date(last))) last = version;
  }
  return last;
}

}  // namespace

GemmFit grouped_gemm_fit(const FamilyKey& key, const std::vector<double>& values) {
  GemmFit fit = grouped_training_gemm_fit(values);
  if (key.library == "deepgemm") fit.tiles = TileSet::deepgemm;
  return fit;
}

bool is_infersim_gemm_csv(const Csv& csv) {
  return csv.has_all({"gpu", "kernel", "m", "n", "k", "latency_us", "mfu_source"});
}
bool is_infersim_grouped_csv(const Csv& csv) {
  return csv.has_all({"gpu", "layout", "num_local_experts", "hidden", "inter", "tokens_per_local_expert", "up_gate_us",
                      "up_mfu_source", "down_us", "down_mfu_source"});
}
bool is_deepgemm_csv(const Csv& csv) {
  return csv.has_all({"gpu", "op", "num_groups", "m_per_group", "n", "k", "latency_us_derived", "version"});
}

std::vector<FamilyData> infersim_gemm_families(const Csv& csv) {
  FamilyBuilder<Gemm> gemms;
  FamilyBuilder<Experts> none;
  std::set<std::tuple<std::string, double, double, double, double>> seen;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const FamilyKey key = dense_key(csv.text(i, "gpu"));
    FamilyData& data = gemms.data(key, key.device, gemm_parameters());
    const auto m = csv.number(i, "m"), n = csv.number(i, "n"), k = csv.number(i, "k"), t = csv.number(i, "latency_us");
    if (!m || !n || !k || !t || !(*t > 0))
      ++data.skipped["missing value"];
    else if (!seen.insert({key.device, *m, *n, *k, *t}).second)
      ++data.skipped["the same row again"];
    else
      add_dense(gemms, key, dense(*m, *n, *k), *t);
  }
  return finished(gemms, none);
}

std::vector<FamilyData> infersim_grouped_families(const Csv& csv) {
  FamilyBuilder<Gemm> none;
  FamilyBuilder<Experts> grouped;
  std::map<std::string, Gpu> gpus;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const FamilyKey key = grouped_key(csv.text(i, "gpu"), csv.text(i, "layout") == "masked");
    FamilyData& data = grouped.data(key, key.device, grouped_parameters());
    const Gpu& gpu = gpus.try_emplace(key.device, profiled_gpu(key.device)).first->second;
    const auto experts = csv.number(i, "num_local_experts"), hidden = csv.number(i, "hidden"),
               inter = csv.number(i, "inter");
    const auto stated = csv.number(i, "tokens_per_local_expert");
    for (const bool up : {true, false}) {
      const auto t = csv.number(i, up ? "up_gate_us" : "down_us");
      if (!experts || !hidden || !inter || !stated || !t || !(*t > 0)) {
        ++data.skipped["missing value"];
        continue;
      }
      if (*stated < 2) {
        ++data.skipped["one row per expert: some experts were empty, the file does not say how many"];
        continue;
      }
      GroupedGemm g{.groups = *experts,
                    .m = *stated,
                    .n = up ? 2 * *inter : *hidden,
                    .k = up ? *hidden : *inter,
                    .operands = DType::fp8_block};
      g.m = timed_rows(*stated, csv.number(i, up ? "up_mfu_source" : "down_mfu_source"), *t, g, gpu);
      // One expert's own number is known.
      add_grouped(grouped, key, {g, *experts > 1 ? kUneven : 0}, *t, *hidden, *inter);
    }
  }
  return finished(none, grouped);
}

std::vector<FamilyData> deepgemm_families(const Csv& csv) {
  FamilyBuilder<Gemm> gemms;
  FamilyBuilder<Experts> grouped;
  const std::string last = newest(csv);
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const std::string_view op = csv.text(i, "op");
    const bool alone = op == "dense";
    const FamilyKey key =
        alone ? dense_key(csv.text(i, "gpu")) : grouped_key(csv.text(i, "gpu"), op == "grouped_masked");
    FamilyData& data = alone ? gemms.data(key, key.device, gemm_parameters())
                             : grouped.data(key, key.device, grouped_parameters());
    const auto m = csv.number(i, "m_per_group"), n = csv.number(i, "n"), k = csv.number(i, "k");
    const auto groups = csv.number(i, "num_groups"), t = csv.number(i, "latency_us_derived");
    if (!m || !n || !k || !groups || !t || !(*t > 0))
      ++data.skipped["missing value"];
    else if (csv.text(i, "version") != last)
      ++data.skipped["an earlier release of the library"];
    else if (alone)
      add_dense(gemms, key, dense(*m, *n, *k), *t);
    else
      add_grouped(grouped, key, {{.groups = *groups, .m = *m, .n = *n, .k = *k, .operands = DType::fp8_block}, 0}, *t, *k, *n);
  }
  return finished(gemms, grouped);
}

}  // namespace moeline
