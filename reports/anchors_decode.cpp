// Decode and fused exchange: Mega MoE, the minibatch rule, warp decode.
#include <fmt/format.h>

#include "gpu/megakernel.hpp"
#include "reports/anchor_machines.hpp"

namespace moeline {
namespace {

// What DeepEP's second version sustains among eight Blackwell GPUs with 64 multiprocessors, dispatch.
constexpr BytesPerSecond kExchange = 726 * gigabyte_per_second;

void add_mega(std::vector<Anchor>& list, const Gpu& gpu) {
  struct Row {
    const char* model;
    DecodeLayer layer;
    double tokens, us;
  };
  const DecodeLayer flash{256, 6, 4096, 2048}, pro{384, 6, 7168, 3072};
  for (const Row& row :
       {Row{"V4-Flash", flash, 1, 56.5}, Row{"V4-Flash", flash, 512, 146.5}, Row{"V4-Flash", flash, 8192, 1283.1},
        Row{"V4-Flash", flash, 32768, 4855.5}, Row{"V4-Pro", pro, 1, 108.1}, Row{"V4-Pro", pro, 512, 369.6},
        Row{"V4-Pro", pro, 8192, 2818.5}, Row{"V4-Pro", pro, 32768, 10655.2}}) {
    const Seconds time = megakernel_terms({.layer = row.layer, .tokens = row.tokens}, gpu, kExchange).time;
    const bool input = row.layer.hidden < 5000 && (row.tokens < 2 || row.tokens > 10000);
    list.push_back({"Mega MoE, 8 ranks", fmt::format("{}, {} tokens a rank", row.model, row.tokens), row.us,
                    time.in(microsecond), "us", input, 0.12, "deepseek-ai/DeepGEMM pull request 316, MIT"});
  }
}

void add_minibatch(std::vector<Anchor>& list) {
  const char* source = "cursor.com/blog/mixture-of-kittens, 2026-08";
  list.push_back({"megakernel minibatch", "Kimi K2.5: least tokens", 2368, smallest_minibatch(148, 7168, 2048),
                  "tokens", false, 0.005, source});
  struct Row {
    double rows, ms;
  };
  const auto slowdown = [](double rows) { return last_wave(minibatch_waves(rows, 148, 7168, 2048)); };
  for (const Row& row :
       {Row{512, 5.981}, Row{1024, 4.669}, Row{1536, 3.981}, Row{2048, 3.666}, Row{3072, 3.447}, Row{4096, 3.473}}) {
    list.push_back({"megakernel minibatch", fmt::format("Kimi K2.5: {} rows over 2,560", row.rows), row.ms / 3.425,
                    slowdown(row.rows) / slowdown(2560), "x", false, 0.12, source});
  }
}

void add_warp(std::vector<Anchor>& list, const AnchorMachine& b200) {
  const char* source = "cursor.com/blog/warp-decode, 2026-04, Qwen-3-style model (taken as Qwen3-30B-A3B)";
  const Machine m = b200.machine();
  const DecodeLayer layer{128, 8, 2048, 768};
  const Seconds launch = m.calibration.memory.launch;
  const OpCost warp = warp_decode(layer, 32, m.gpu, launch);
  list.push_back({"warp decode, 32 tokens", "bandwidth, launches counted", 3.95,
                  warp.bytes.in(terabyte) / warp.time.in(second), "TB/s", true, 0.12, source});
  // The usual path: eight stages, weights of experts hit at the rate of a product's operands.
  const Seconds usual = 8 * launch + warp.bytes / (m.calibration.gemm_fp8.memory * m.gpu.hbm_bandwidth.value);
  list.push_back(
      {"warp decode, 32 tokens", "speed-up over eight stages", 1.84, usual / warp.time, "x", false, 0.12, source});
}

}  // namespace

void add_decode_anchors(std::vector<Anchor>& list) {
  const AnchorMachine b200("b200-sxm");
  add_mega(list, b200.machine().gpu);
  add_minibatch(list);
  add_warp(list, b200);
}

}  // namespace moeline
