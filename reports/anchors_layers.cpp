// Whole expert layers: TorchAO's, and the three configurations of the layer rewritten for MXFP8.

#include "ops/decoder.hpp"
#include "reports/anchor_machines.hpp"
#include "spec/catalogue.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

constexpr const char* kReadme = "pytorch/ao torchao/prototype/moe_training/README.md, BSD-3";
constexpr const char* kPost = "cursor.com/blog/kernels, 2025-08, table 5; shape inferred from tables 3 and 5";

// As its benchmark builds it: one expert a token, one shared expert of the same width in bf16, loss around it.
struct TorchaoLayer {
  double tokens, width, hidden, experts;

  double seconds(DType type, const AnchorMachine& machine) const {
    const double x = tokens * hidden, a = tokens * width;
    double sum = 2 * torchao_seconds({tokens, width, hidden, experts}, type, machine) +
                 torchao_seconds({tokens, hidden, width, experts}, type, machine);
    for (const Gemm& gemm : {Gemm{.m = tokens, .n = width, .k = hidden}, Gemm{.m = tokens, .n = hidden, .k = width},
                             Gemm{.m = width, .n = hidden, .k = tokens}}) {
      sum += 3 * machine.seconds(gemm);
    }
    const auto passes = [&](double read, double written) {
      return machine.seconds(Elementwise{bytes(DType::bf16, read), bytes(DType::bf16, written)});
    };
    sum += 2 * (passes(2 * a, a) + passes(3 * a, 2 * a));  // SwiGLU of experts and of the shared expert
    sum += 4 * passes(x, x);                               // permute and unpermute, forward and backward
    sum += 3 * passes(2 * x, x) + passes(5 * x, 2 * x);    // sums with the shared expert's output, loss
    return sum;
  }
};

void add_torchao(std::vector<Anchor>& list) {
  const AnchorMachine b200("b200-sxm");
  const char* table = "TorchAO layer, forward and backward";
  const auto add = [&](const std::string& name, const TorchaoLayer& layer, double bf16_ms, double mxfp8_ms) {
    const double bf16 = 1e3 * layer.seconds(DType::bf16, b200), mxfp8 = 1e3 * layer.seconds(DType::mxfp8, b200);
    list.push_back({table, name + ", speed-up", bf16_ms / mxfp8_ms, bf16 / mxfp8, "x", false, 0.06, kReadme});
    list.push_back({table, name + ", BF16", bf16_ms, bf16, "ms", false, 0.12, kReadme});
    list.push_back({table, name + ", MXFP8", mxfp8_ms, mxfp8, "ms", false, 0.12, kReadme});
  };
  add("Llama 4, 16 experts", {131072, 8192, 5120, 16}, 275.27, 192.42);
  add("DeepSeek-V3, 8 experts", {131072, 2048, 7168, 8}, 92.032, 80.182);
}

// 524,288 rows of 4,096 through experts of 1,024: how this was inferred stands in docs/theory/mxfp8.md.
constexpr double kTokens = 65536;
constexpr int kHidden = 4096, kWidth = 1024, kExperts = 16, kChosen = 8;

double moe_ms(const Json& recipe_json, const AnchorMachine& machine, bool forward) {
  Json config = find_model("qwen3-30b-a3b", "anchors").json;
  config["hidden_size"] = kHidden;
  config["moe_intermediate_size"] = kWidth;
  config["num_experts"] = kExperts;
  config["num_experts_per_tok"] = kChosen;
  const ModelSpec model = read_model(config, "anchors", "layer");
  const Recipe recipe = read_recipe(recipe_json, "anchors");
  const Parallelism one;
  const Routing balanced;
  const TrainWorkload train;
  const DecoderContext context{model, one, recipe, balanced, kTokens / 8192, 8192, train};
  double sum = 0;
  for (const Op& op : forward ? layer_forward(context, model.kinds[0]) : layer_backward(context, model.kinds[0])) {
    if (op.in_moe) sum += 1e3 * machine.seconds(op.work);
  }
  return sum;
}

void add_cursor(std::vector<Anchor>& list) {
  const AnchorMachine h100("h100-sxm"), b200("b200-sxm");
  const Json ported{{"base", "bf16"}, {"kernels", "megablocks"}};
  const char* table = "expert layer, three configurations";
  for (const bool forward : {true, false}) {
    const std::string name = forward ? "forward" : "backward";
    const double old_ms = moe_ms(ported, h100, forward), port_ms = moe_ms(ported, b200, forward);
    const double new_ms = moe_ms("mxfp8_fused", b200, forward);
    const double old_published = forward ? 32.36 : 63.24, port_published = forward ? 25.96 : 59.17;
    const double new_published = forward ? 9.45 : 17.04;
    list.push_back({table, name + ", H100 BF16", old_published, old_ms, "ms", false, 0.12, kPost});
    list.push_back({table, name + ", B200 BF16, direct port", port_published, port_ms, "ms", forward, 0.12, kPost});
    list.push_back({table, name + ", B200 MXFP8", new_published, new_ms, "ms", false, 0.12, kPost});
    list.push_back({table, name + ", MXFP8 over H100 BF16", old_published / new_published, old_ms / new_ms, "x", false,
                    0.12, kPost});
    list.push_back({table, name + ", MXFP8 over B200 BF16", port_published / new_published, port_ms / new_ms, "x",
                    false, 0.12, kPost});
  }
}

}  // namespace

void add_layer_anchors(std::vector<Anchor>& list) {
  add_torchao(list);
  add_cursor(list);
}

}  // namespace moeline
