#include "validate/cuda/cuda_backend.hpp"

#include <algorithm>

#include "validate/comm/exchange.hpp"
#include "validate/comm/transport.hpp"
#include "validate/cuda/cases.hpp"
#include "validate/cuda/self_test.hpp"

namespace moeline {
namespace {

std::string dotted(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

// The cases are timed on the first GPU; exchanges take as many as they have ranks.
class Cuda : public Backend {
 public:
  Machine machine() override {
    open();
    int driver = 0, runtime = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    Machine machine{.device = first().name(),
                    .title = first().name(),
                    .versions = {{"driver", dotted(driver)}, {"cuda", dotted(runtime)}},
                    .profile = ""};
    const std::size_t cublas = cublasLtGetVersion();
    machine.versions["cublas"] =
        std::to_string(cublas / 10000) + "." + std::to_string(cublas / 100 % 100) + "." + std::to_string(cublas % 100);
    if (const std::string nccl = nccl_version(); !nccl.empty()) machine.versions["nccl"] = nccl;
    if (!problem_.empty())
      machine.versions["moeline_kernels"] = "replaced by cublaslt, the self-test failed: " + problem_;
    if (devices_.size() > 1) machine.title = std::to_string(devices_.size()) + " x " + machine.title;
    return machine;
  }

  std::vector<std::string> libraries(const Case& wanted) const override {
    if (devices_.empty()) return {};
    if (is_product(wanted)) return product_libraries(wanted, first(), problem_.empty());
    if (wanted.op == "all_to_all") return exchange_libraries(wanted, static_cast<int>(devices_.size()));
    return pass_libraries(wanted, first());
  }

  std::unique_ptr<Run> prepare(const Case& wanted) override {
    open();
    first().make_current();
    const std::vector<std::string> offered = libraries(wanted);
    if (std::ranges::find(offered, wanted.library) == offered.end())
      throw HardwareError("this GPU cannot run " + wanted.op + " " + wanted.kind + " " + wanted.dtype + " by " +
                          wanted.library);
    if (wanted.op == "all_to_all") return exchange_run(wanted, devices_);
    if (wanted.op == "quantise") return quantise_run(wanted, first());
    if (!is_product(wanted)) return pass_run(wanted, first());
    if (!baseline_) baseline_ = std::make_unique<CublasLt>();
    return product_run(wanted, first(), *baseline_);
  }

 private:
  static bool is_product(const Case& wanted) {
    return (wanted.op == "gemm" || wanted.op == "grouped_gemm") &&
           (wanted.kind.empty() || wanted.kind == "dgrad" || wanted.kind == "wgrad");
  }
  Device& first() const { return *devices_.front(); }
  void open() {
    if (!devices_.empty()) return;
    problem_ = problem_of_own_products();
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || count == 0)
      throw HardwareError(std::string("no GPU here (") + cudaGetErrorString(error) + "); measure with --backend host");
    for (int ordinal = 0; ordinal < count; ++ordinal) devices_.push_back(std::make_unique<Device>(ordinal));
    if (first().generation() < 80)
      throw HardwareError(first().name() + " is older than the kernels here (sm_80); measure with --backend host");
    first().make_current();
  }

  std::vector<std::unique_ptr<Device>> devices_;
  std::unique_ptr<CublasLt> baseline_;
  std::string problem_;
};

}  // namespace

std::unique_ptr<Backend> cuda_backend() { return std::make_unique<Cuda>(); }

}  // namespace moeline
