// Do break-evens, ratios and streaming times come out as the published rates imply, and do one set of constants give
// the published effects of batch tiling? Sources: Cerebras specifications (hw_profiles/cs-2.json, cs-3.json), the Model
// Zoo's micro-batches (github.com/Cerebras/modelzoo), Soboleva et al., SC Workshops '25, doi 10.1145/3731599.3767407.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "scenarios.hpp"
#include "spec/catalogue.hpp"
#include "wafer/break_even.hpp"

using namespace moeline;
using Catch::WithinAbs;
using Catch::WithinRel;

namespace {

StreamBalance balance(double petaflops, double gigabytes, double efficiency) {
  return {efficiency * petaflops * 1e15 * flop_per_second, gigabytes * gigabyte_per_second, 2 * byte};
}

double thousands(double tokens) { return std::round(tokens / 1000); }

ModelSpec model_named(const char* name) {
  const Document document = find_model(name, name);
  return read_model(document.json, document.origin, document.name);
}

// Qwen3-30B-A3B with experts and top-k changed, on one CS-2, with the constants of kPublishedPair.
double rate(int experts, int top_k, const char* g) {
  const Trial trial(
      parse_json(fmt::format(R"({{"model": {{"base": "qwen3-30b-a3b", "num_experts": {}, "num_experts_per_tok": {}}},
      "hardware": "cs-2", "devices": 1, "workload": {{"kind": "train", "sequence": 8192, "global_batch": 1024,
      "wafer": {{"mode": "streaming", "conduct": "published_pair", "scores": "materialised", "g": {}}}}}}})",
                             experts, top_k, g),
                 "trial.json"));
  CHECK(trial.train().memory.total() < 40 * gigabyte);
  return trial.train().tokens_per_second;
}

}  // namespace

TEST_CASE("profiles of wafers keep bits apart from bytes and dense from sparse", "[anchors]") {
  for (const char* name : {"cs-2", "cs-3"}) {
    const Document document = find_hardware(name, name);
    const Cluster cluster = read_cluster(document.json, document.origin);
    const Wafer& wafer = std::get<Wafer>(cluster.device);
    CHECK(wafer.input_bandwidth.value == 1200 * gigabit_per_second);  // 1.2 Tbit/s
    CHECK(wafer.output_bandwidth.value == wafer.input_bandwidth.value);
    // A multiply-add per lane, core and cycle: 7.48 PFLOP/s of the 7.5, 15.84 of the 15.6
    const double lanes = static_cast<double>(wafer.cores.value * wafer.simd_width.value) * wafer.clock.value.in(hertz);
    CHECK_THAT(wafer.dense_peak.bf16->value.in(flop_per_second), WithinRel(2 * lanes, 0.02));
    CHECK(wafer.sparse_peak.bf16->value > 7.9 * wafer.dense_peak.bf16->value);
  }
}

TEST_CASE("break-even tokens on CS-2 and CS-3 are those of the table", "[anchors]") {
  struct Row {
    double petaflops, gigabytes, dense_30, dense_50, moe_30, moe_50;  // thousands of tokens at 30 and 50 % of peak
  };
  for (const Row& row :
       {Row{7.5, 150, 15, 25, 139, 231}, Row{15.6, 150, 31, 52, 289, 481}, Row{15.6, 195, 24, 40, 222, 370}}) {
    const StreamBalance low = balance(row.petaflops, row.gigabytes, 0.3),
                        high = balance(row.petaflops, row.gigabytes, 0.5);
    CHECK(thousands(break_even_rows(low)) == row.dense_30);
    CHECK(thousands(break_even_rows(high)) == row.dense_50);
    CHECK(thousands(break_even_tokens(low, 30.53, 3.3)) == row.moe_30);  // 30.53 B parameters, 3.30 B of them active
    CHECK(thousands(break_even_tokens(high, 30.53, 3.3)) == row.moe_50);
  }
}

TEST_CASE("compute over stream at the Model Zoo's micro-batches is that of the table", "[anchors]") {
  struct Row {
    const char* model;
    double tokens, total, active, cs2, cs3, cs3_195;  // billions of parameters; ratios as printed
    double digit;
  };
  for (const Row& row :
       {Row{"Llama 8B", 163840, 8, 8, 6.6, 3.2, 4.1, 0.1}, Row{"Llama 70B", 65536, 70, 70, 2.6, 1.3, 1.6, 0.1},
        Row{"Llama 405B", 131072, 405, 405, 5.2, 2.5, 3.3, 0.1}, Row{"Gemma 2 27B", 73728, 27, 27, 3.0, 1.4, 1.8, 0.1},
        Row{"Jais 30B", 98304, 30, 30, 3.9, 1.9, 2.5, 0.1},
        Row{"Mixtral 8x7B", 131072, 46.7, 12.9, 1.45, 0.70, 0.90, 0.01},
        Row{"Mixtral 8x22B", 65536, 141, 39, 0.73, 0.35, 0.45, 0.01},
        Row{"Qwen3-30B-A3B", 131072, 30.5, 3.34, 0.57, 0.27, 0.35, 0.01}}) {
    const auto ratio = [&](double petaflops, double gigabytes) {
      const StreamBalance b = balance(petaflops, gigabytes, 0.5);
      return compute_time(b, row.active * 1e9, row.tokens) / stream_time(b, row.total * 1e9);
    };
    INFO(row.model << " " << ratio(7.5, 150) << " " << ratio(15.6, 150) << " " << ratio(15.6, 195));
    const double half = 0.5 * row.digit + 0.006;  // printed digits; the table rounds its inputs once more
    CHECK_THAT(ratio(7.5, 150), WithinAbs(row.cs2, half));
    CHECK_THAT(ratio(15.6, 150), WithinAbs(row.cs3, half));
    CHECK_THAT(ratio(15.6, 195), WithinAbs(row.cs3_195, half));
  }
}

TEST_CASE("a layer of Qwen3-30B-A3B streams in the time of the table", "[anchors]") {
  const ModelSpec model = model_named("qwen3-30b-a3b");
  const LayerParameters layer = layer_parameters(model, model.kinds[0]);
  const StreamBalance b = balance(7.5, 150, 0.5);
  CHECK(fmt::format("{:.2f}", static_cast<double>(layer.expert) / 1e6) == "4.72");
  CHECK(fmt::format("{:.0f}", static_cast<double>(layer.experts) / 1e6) == "604");
  CHECK(fmt::format("{:.2f} ms", stream_time(b, static_cast<double>(layer.experts)).in(millisecond)) == "8.05 ms");
  CHECK(fmt::format("{:.2f} ms", stream_time(b, static_cast<double>(layer.attention)).in(millisecond)) == "0.25 ms");
  CHECK(fmt::format("{:.2f} s", stream_time(b, static_cast<double>(parameters(model).main)).in(second)) == "0.41 s");
}

TEST_CASE("the Model Zoo's micro-batches fit, dense ones bound by compute and MoE ones by the stream", "[anchors]") {
  struct Row {
    const char* model;
    int tile, sequence;
    bool dense;
  };
  for (const Row& row : {Row{"llama-3.1-8b", 20, 8192, true}, Row{"llama-3.1-70b", 8, 8192, true},
                         Row{"llama-3.1-405b", 1, 131072, true}, Row{"mixtral-8x7b", 4, 32768, false},
                         Row{"mixtral-8x22b", 1, 65536, false}}) {
    const Trial trial(
        parse_json(fmt::format(R"({{"model": "{}", "hardware": "cs-3", "devices": 1, "workload": {{"kind": "train",
        "sequence": {}, "global_batch": {}, "wafer": {{"g": 1, "attention_tile": {}}}}}}})",
                               row.model, row.sequence, 8 * row.tile, row.tile),
                   "trial.json"));
    INFO(row.model << " " << trial.why_not());
    CHECK(trial.train().wafer->binds.starts_with(row.dense ? "compute" : "expert stream"));
  }
}

TEST_CASE("one set of constants gives the published effects of batch tiling inside 40 GB", "[anchors]") {
  const double dense = rate(8, 8, "1"), experts = rate(128, 8, "1");
  // Aim: 15 % from one set of constants; reached within 0.5 % when written, by three constants for three figures.
  CHECK_THAT(1 - experts / dense, WithinRel(0.53, 0.15));  // up to 53 % lost to experts, top-8
  const double uniform = rate(128, 1, "1"), tiled = rate(128, 1, "64");
  CHECK_THAT(uniform, WithinRel(7091, 0.15));
  CHECK_THAT(tiled, WithinRel(49335, 0.15));
  CHECK_THAT(1 - uniform / tiled, WithinRel(0.86, 0.15));  // up to 86 % lost at top-1
  for (const int count : {16, 32, 64, 128}) {              // tiled alike, experts cost nothing
    CHECK_THAT(rate(count, 8, "\"auto\""), WithinRel(rate(8, 8, "\"auto\""), 0.15));
  }
}
