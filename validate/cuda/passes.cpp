#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "validate/codec.hpp"
#include "validate/cuda/cases.hpp"
#include "validate/cuda/source.hpp"
#include "validate/kernels/passes.hpp"
#include "validate/kernels/quantise.hpp"
#include "validate/kernels/routing.hpp"

namespace moeline {

int size_of(const Case& wanted, const char* key) {
  const auto found = wanted.shape.find(key);
  if (found == wanted.shape.end()) throw HardwareError(wanted.op + " needs the size " + key);
  return static_cast<int>(found->second);
}

double bytes_of(const Case& wanted) {
  const auto found = wanted.shape.find("bytes");
  if (found == wanted.shape.end()) throw HardwareError(wanted.op + " needs the size bytes");
  return found->second;
}

namespace {

using kernels::Pass;

const std::map<std::string, Pass> kPasses{
    {"copy", Pass::copy}, {"read", Pass::read}, {"write", Pass::write}, {"triad", Pass::triad}};

Check passed_if(bool right, const std::string& problem) {
  return right ? Check{.passed = true} : Check{.error = 1, .problem = problem};
}

std::vector<std::uint32_t> random_words(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::uint32_t> words(std::min<std::size_t>(count, 1'000'003));
  // Exponents near 1: as floats they add without overflow.
  for (std::uint32_t& word : words) word = static_cast<std::uint32_t>(random() >> 32 & 0x803FFFFF) | 0x3F000000;
  return words;
}

// `bytes` are those read and written together, over all operands.
class MemoryRun : public CudaRun {
 public:
  MemoryRun(const Case& wanted, Device& device) : CudaRun(device), pass_(kPasses.at(wanted.kind)) {
    const int operands = pass_ == Pass::copy ? 2 : pass_ == Pass::triad ? 3 : 1;
    bytes_ = static_cast<std::size_t>(bytes_of(wanted) / operands) / 16 * 16;
    words_ = random_words(bytes_ / 4, wanted.seed);
    for (DeviceMemory* memory : {&a_, &b_}) {
      *memory = DeviceMemory(bytes_);
      fill(*memory);
    }
    to_ = DeviceMemory(bytes_);
  }

  Check check() override {
    to_.poison();
    run();
    if (!to_.guards_alive()) return passed_if(false, "a canary beside the output died");
    if (pass_ == Pass::read) return {.passed = true};
    const std::size_t count = std::min(bytes_ / 4, words_.size());
    for (const std::size_t first : {std::size_t{0}, bytes_ / 4 - count}) {
      const std::vector<std::uint32_t> got = to_.read<std::uint32_t>(first, count);
      for (std::size_t i = 0; i < count; ++i)
        if (got[i] != expected(first + i)) return passed_if(false, "word " + std::to_string(first + i) + " is wrong");
    }
    return {.passed = true};
  }

 private:
  void fill(DeviceMemory& memory) {
    for (std::size_t at = 0; at < bytes_; at += words_.size() * 4) {
      const std::size_t part = std::min(bytes_ - at, words_.size() * 4);
      MOELINE_CUDA(cudaMemcpy(memory.as<std::uint8_t>() + at, words_.data(), part, cudaMemcpyHostToDevice));
    }
  }
  std::uint32_t expected(std::size_t i) const {
    const std::uint32_t word = words_[i % words_.size()];
    if (pass_ == Pass::write) return static_cast<std::uint32_t>(i % 4 + 1);
    if (pass_ == Pass::copy) return word;
    const float x = std::bit_cast<float>(word);
    return std::bit_cast<std::uint32_t>(std::fma(3.0f, x, x));
  }
  void launch(cudaStream_t stream) override {
    MOELINE_CUDA(kernels::memory_pass({pass_, a_.data(), b_.data(), to_.data(), bytes_}, stream));
  }

  Pass pass_;
  std::size_t bytes_;
  std::vector<std::uint32_t> words_;
  DeviceMemory a_, b_, to_;
};

// Random whole rows of `row_bytes`, read and written once.
class GatherRun : public CudaRun {
 public:
  GatherRun(const Case& wanted, Device& device)
      : CudaRun(device),
        hidden_(size_of(wanted, "row_bytes") / 2),
        rows_(std::max(1, static_cast<int>(bytes_of(wanted) / (4.0 * hidden_)))),
        input_({1, rows_, rows_, hidden_}, wanted.seed, device),
        output_(input_.elements() * 2),
        order_(static_cast<std::size_t>(rows_)) {
    std::iota(order_.begin(), order_.end(), 0);
    std::ranges::shuffle(order_, std::mt19937_64(wanted.seed));
    from_ = DeviceMemory::of(order_);
  }

  Check check() override {
    output_.poison();
    run();
    for (const int row : {0, rows_ / 2, rows_ - 1}) {
      const auto got = output_.read<std::uint16_t>(static_cast<std::size_t>(row) * static_cast<std::size_t>(hidden_),
                                                   static_cast<std::size_t>(hidden_));
      const std::vector<float> expected = input_.row(0, order_[static_cast<std::size_t>(row)]);
      for (std::size_t i = 0; i < got.size(); ++i)
        if (decode_bf16(got[i]) != expected[i]) return passed_if(false, "row " + std::to_string(row) + " is wrong");
    }
    return passed_if(output_.guards_alive(), "a canary beside the output died");
  }

 private:
  void launch(cudaStream_t stream) override {
    MOELINE_CUDA(kernels::permute({input_.data(), from_.as<int>(), output_.data(), rows_, hidden_}, stream));
  }
  int hidden_, rows_;
  Source input_;
  DeviceMemory output_;
  std::vector<int> order_;
  DeviceMemory from_;
};

// Copies by the copy engines; one way over the link to the host, from and to page-locked memory.
class EngineRun : public CudaRun {
 public:
  EngineRun(const Case& wanted, Device& device)
      : CudaRun(device),
        kind_(wanted.kind),
        bytes_(static_cast<std::size_t>(bytes_of(wanted)) / (wanted.kind == "copy_engine" ? 2 : 1)),
        near_(bytes_),
        far_(kind_ == "copy_engine" ? bytes_ : 1) {
    if (kind_ != "copy_engine") MOELINE_CUDA(cudaHostAlloc(&host_, bytes_, cudaHostAllocDefault));
  }
  ~EngineRun() override { cudaFreeHost(host_); }

  Check check() override {
    run();
    return passed_if(near_.guards_alive() && far_.guards_alive(), "a canary beside a buffer died");
  }

 private:
  void launch(cudaStream_t stream) override {
    void* const other = kind_ == "copy_engine" ? far_.data() : host_;
    const bool in = kind_ == "from_host";
    MOELINE_CUDA(
        cudaMemcpyAsync(in ? near_.data() : other, in ? other : near_.data(), bytes_, cudaMemcpyDefault, stream));
  }
  std::string kind_;
  std::size_t bytes_;
  DeviceMemory near_, far_;
  void* host_ = nullptr;
};

struct TensorPeak {
  decltype(&kernels::tensor_peak_sm90) run;
  decltype(&kernels::tensor_peak_flops_sm90) flops;
};
TensorPeak tensor_peak_of(int generation) {
  if (generation == 90) return {kernels::tensor_peak_sm90, kernels::tensor_peak_flops_sm90};
  if (generation == 120) return {kernels::tensor_peak_sm120, kernels::tensor_peak_flops_sm120};
  return {kernels::tensor_peak_sm100, kernels::tensor_peak_flops_sm100};
}

// Nothing, alone or as the nodes of a graph; multiply-adds; products of tiles that stay in shared memory.
class CeilingRun : public CudaRun {
 public:
  static constexpr int kNodes = 100;
  CeilingRun(const Case& wanted, Device& device)
      : CudaRun(device), kind_(wanted.kind), dtype_(wanted.dtype), sink_(16) {
    if (kind_ == "graph_node") capture();
  }
  ~CeilingRun() override {
    if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
  }
  Check check() override {
    run();
    return passed_if(sink_.guards_alive(), "a canary died");
  }
  Sample sample(Caches caches) override {
    Sample sample = CudaRun::sample(caches);
    if (kind_ == "graph_node") sample.seconds /= kNodes;
    return sample;
  }
  std::map<std::string, double> filled_in() const override {
    if (kind_ == "fma") return {{"flops", 2.0 * kernels::kFmaPerThread * 256 * blocks()}};
    if (kind_ == "tensor") {
      return {{"flops", tensor_peak_of(generation_).flops(tensor_kind(), multiprocessors())}};
    }
    return {};
  }

 private:
  int multiprocessors() const { return multiprocessors_; }
  int blocks() const { return 8 * multiprocessors_; }
  kernels::TensorKind tensor_kind() const {
    return dtype_ == "bf16"    ? kernels::TensorKind::bf16
           : dtype_ == "mxfp8" ? kernels::TensorKind::mxfp8
                               : kernels::TensorKind::fp8;
  }
  void capture() {
    cudaGraph_t graph = nullptr;
    MOELINE_CUDA(cudaStreamBeginCapture(device().stream(), cudaStreamCaptureModeThreadLocal));
    for (int i = 0; i < kNodes; ++i) MOELINE_CUDA(kernels::empty_pass(device().stream()));
    MOELINE_CUDA(cudaStreamEndCapture(device().stream(), &graph));
    MOELINE_CUDA(cudaGraphInstantiate(&graph_, graph, 0));
    MOELINE_CUDA(cudaGraphDestroy(graph));
  }
  void launch(cudaStream_t stream) override {
    if (kind_ == "graph_node") {
      MOELINE_CUDA(cudaGraphLaunch(graph_, stream));
    } else if (kind_ == "fma") {
      MOELINE_CUDA(kernels::fma_pass(blocks(), sink_.as<float>(), stream));
    } else if (kind_ == "tensor") {
      MOELINE_CUDA(tensor_peak_of(generation_).run(tensor_kind(), multiprocessors(), sink_.as<float>(), stream));
    } else {
      MOELINE_CUDA(kernels::empty_pass(stream));
    }
  }
  std::string kind_, dtype_;
  DeviceMemory sink_;
  cudaGraphExec_t graph_ = nullptr;
  int multiprocessors_ = device().multiprocessors(), generation_ = device().generation();
};

}  // namespace

std::vector<std::string> pass_libraries(const Case& wanted, const Device& device) {
  const std::string& kind = wanted.kind;
  const auto among = [&](std::initializer_list<const char*> kinds) {
    return std::ranges::find(kinds, kind) != kinds.end();
  };
  const std::vector<std::string> ours{"moeline"};
  if (wanted.op == "memory_pass") {
    if (among({"copy_engine", "to_host", "from_host"})) return {"cuda"};
    if (kPasses.contains(kind) || kind == "gather") return ours;
  } else if (wanted.op == "quantise") {
    const bool whole_tiles =
        size_of(wanted, "rows") % 128 == 0 && size_of(wanted, "columns") % (kind == "swiglu_backward" ? 256 : 128) == 0;
    if (wanted.dtype == "mxfp8" && whole_tiles &&
        among({"row", "column", "both", "gather", "swiglu", "swiglu_backward"}))
      return ours;
  } else if (wanted.op == "launch") {
    if (among({"empty_kernel", "graph_node"})) return ours;
  } else if (wanted.op == "peak") {
    if (kind == "fma") return ours;
    const int generation = device.generation();
    const bool hopper = generation == 90 && (wanted.dtype == "bf16" || wanted.dtype == "fp8");
    const bool blackwell = is_blackwell(generation) && (wanted.dtype == "bf16" || wanted.dtype == "mxfp8");
    if (kind == "tensor" && (hopper || blackwell)) return ours;
  }
  return {};
}

std::unique_ptr<Run> pass_run(const Case& wanted, Device& device) {
  if (wanted.op != "memory_pass") return std::make_unique<CeilingRun>(wanted, device);
  if (wanted.kind == "gather") return std::make_unique<GatherRun>(wanted, device);
  if (kPasses.contains(wanted.kind)) return std::make_unique<MemoryRun>(wanted, device);
  return std::make_unique<EngineRun>(wanted, device);
}

}  // namespace moeline
