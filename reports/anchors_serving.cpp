// DeepSeek-V3 as its authors serve it, and a model read at the speed of a desktop's memory.
#include <memory>

#include "fit/calibration_file.hpp"
#include "plan/serving/steps.hpp"
#include "reports/anchor_machines.hpp"
#include "spec/catalogue.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

constexpr const char* kDay6 = "deepseek-ai/open-infra-index, day 6, 2025-03: averages of a day per H800 node";
constexpr const char* kBlog = "huggingface.co/blog/moe-transformers, 2026";

// As published: data-parallel attention, 32 spare experts, two halves of a batch beside each other.
class Online {
 public:
  explicit Online(int ranks)
      : json_{{"model", "deepseek-v3"},
              {"hardware", "h800-sxm"},
              {"devices", ranks},
              {"parallelism", {{"tp", 1}, {"ep", ranks}}},
              {"routing", {{"popularity", "uniform"}, {"balancer", "eplb"}, {"redundant_experts", 32}}},
              {"workload", {{"kind", "serve"}, {"stack", "sglang"}, {"kv_cache", "bf16"}, {"two_batch_overlap", true}}}},
        scenario_(read_scenario(json_, "anchors")) {
    std::string note;
    calibration_ = calibration_named("auto", scenario_.cluster, note, true);
    const ServeWorkload& workload = std::get<ServeWorkload>(scenario_.workload);
    steps_ = std::make_unique<ServingSteps>(scenario_, workload.decode.layout, calibration_, stack_conduct(workload));
  }

  // Tokens of one node, every rank computing `tokens` of prompts so long.
  double prompts_per_second(double tokens, double length) const {
    const Iteration it{.prompts = tokens / length, .prompt = length, .finishing = tokens / length};
    return kNode * tokens / steps_->time(it).in(second);
  }
  // Tokens of one node at the batch that gives each user `rate` tokens per second, so many cached.
  double tokens_per_second(double rate, double cached) const {
    double low = 1, high = 512;
    for (int i = 0; i < 30; ++i) {
      const double batch = (low + high) / 2;
      (1 / steps_->time({.decoding = batch, .context = cached}).in(second) > rate ? low : high) = batch;
    }
    return kNode * low * rate;
  }

 private:
  static constexpr double kNode = 8;
  Json json_;
  Scenario scenario_;
  Calibration calibration_;
  std::unique_ptr<ServingSteps> steps_;
};

}  // namespace

void add_serving_anchors(std::vector<Anchor>& list) {
  const char* table = "DeepSeek-V3 online, 8 x H800";
  // Cached prefixes count as computed here: what a day's average lost to troughs and won by hits is not published apart.
  list.push_back({table, "input, EP32, 8,192 tokens a rank, every token computed", 73700, Online(32).prompts_per_second(8192, 4096),
                  "tokens/s", false, 0.15, kDay6});
  // 20 to 22 tokens a second a user; 4,989 tokens cached on average.
  list.push_back({table, "output, EP144, 21 tokens/s a user", 14800, Online(144).tokens_per_second(21, 4989), "tokens/s", false, 0.15, kDay6});
  const Document config = find_model("gpt-oss-20b", "anchors");
  const auto active = static_cast<double>(parameters(read_model(config.json, config.origin, config.name)).active_without_embedding);
  const double rate = 800 * gigabyte_per_second * (1 * second) / bytes(DType::bf16, active);
  list.push_back({"memory-bound decoding", "gpt-oss-20b at 800 GB/s, by the blog's formula", 111, rate, "tokens/s", false, 0.005, kBlog});
}

}  // namespace moeline
