#include "validate/cuda/device.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>

namespace moeline {
namespace {

constexpr std::uint8_t kCanary = 0xC5;
constexpr double kHotSeconds = 5e-3;
constexpr int kMostQueued = 500;              // the queue of a stream holds about a thousand launches
constexpr double kReadableNanoseconds = 2e4;  // the timer ticks every microsecond

}  // namespace

void require(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // forgets it, if the device lives
  throw HardwareError(std::string(call) + ": " + cudaGetErrorString(error));
}

DeviceMemory::DeviceMemory(std::size_t bytes) : bytes_(bytes) {
  void* memory = nullptr;
  if (cudaMalloc(&memory, bytes + 2 * kGuard) != cudaSuccess) {
    cudaGetLastError();
    throw HardwareError("out of device memory: " + std::to_string(bytes) + " bytes wanted");
  }
  memory_.reset(static_cast<std::uint8_t*>(memory));
  poison();
}

void DeviceMemory::poison() {
  MOELINE_CUDA(cudaMemset(memory_.get(), kCanary, kGuard));
  MOELINE_CUDA(cudaMemset(memory_.get() + kGuard, 0xFF, bytes_));
  MOELINE_CUDA(cudaMemset(memory_.get() + kGuard + bytes_, kCanary, kGuard));
  MOELINE_CUDA(cudaDeviceSynchronize());
}

bool DeviceMemory::guards_alive() const {
  const auto alive = [](const std::uint8_t* guard) {
    std::array<std::uint8_t, kGuard> bytes{};
    MOELINE_CUDA(cudaMemcpy(bytes.data(), guard, kGuard, cudaMemcpyDeviceToHost));
    return std::ranges::all_of(bytes, [](std::uint8_t b) { return b == kCanary; });
  };
  return memory_ == nullptr || (alive(memory_.get()) && alive(memory_.get() + kGuard + bytes_));
}

void DeviceMemory::upload(const void* from, std::size_t bytes) {
  MOELINE_CUDA(cudaMemcpy(data(), from, bytes, cudaMemcpyHostToDevice));
}

void DeviceMemory::download(void* to, std::size_t from, std::size_t bytes) const {
  MOELINE_CUDA(cudaMemcpy(to, as<std::uint8_t>() + from, bytes, cudaMemcpyDeviceToHost));
}

struct Device::Shared {
  int open;
  kernels::ClockReading before, after;
};

Device::Device(int ordinal) : ordinal_(ordinal) {
  make_current();
  const auto attribute = [&](cudaDeviceAttr wanted) {
    int value = 0;
    MOELINE_CUDA(cudaDeviceGetAttribute(&value, wanted, ordinal));
    return value;
  };
  generation_ = 10 * attribute(cudaDevAttrComputeCapabilityMajor) + attribute(cudaDevAttrComputeCapabilityMinor);
  multiprocessors_ = attribute(cudaDevAttrMultiProcessorCount);
  nominal_hz_ = 1e3 * attribute(cudaDevAttrClockRate);
  cudaDeviceProp properties{};
  MOELINE_CUDA(cudaGetDeviceProperties(&properties, ordinal));
  name_ = properties.name;
  MOELINE_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  MOELINE_CUDA(cudaEventCreate(&begin_));
  MOELINE_CUDA(cudaEventCreate(&end_));
  cache_filler_ = DeviceMemory(2 * static_cast<std::size_t>(attribute(cudaDevAttrL2CacheSize)));
  void* shared = nullptr;
  MOELINE_CUDA(cudaHostAlloc(&shared, sizeof(Shared), cudaHostAllocPortable));
  shared_ = new (shared) Shared{};
}

Device::~Device() {
  cudaSetDevice(ordinal_);
  cudaFreeHost(shared_);
  cudaEventDestroy(end_);
  cudaEventDestroy(begin_);
  cudaStreamDestroy(stream_);
}

void Device::make_current() const { MOELINE_CUDA(cudaSetDevice(ordinal_)); }

void Device::run(const Call& call) {
  make_current();
  call(stream_);
  MOELINE_CUDA(cudaStreamSynchronize(stream_));
}

void Device::empty_caches() {
  MOELINE_CUDA(cudaMemsetAsync(cache_filler_.data(), 0xFF, cache_filler_.bytes(), stream_));
}

void Device::close_gate() {
  std::atomic_ref(shared_->open).store(0);
  MOELINE_CUDA(kernels::gate_pass(&shared_->open, stream_));
}

void Device::open_gate() { std::atomic_ref(shared_->open).store(1); }

void Device::queue(const Call& call, int times) {
  MOELINE_CUDA(kernels::read_clock(&shared_->before, stream_));
  MOELINE_CUDA(cudaEventRecord(begin_, stream_));
  for (int i = 0; i < times; ++i) call(stream_);
  MOELINE_CUDA(cudaEventRecord(end_, stream_));
  MOELINE_CUDA(kernels::read_clock(&shared_->after, stream_));
}

Sample Device::finish(int times) {
  MOELINE_CUDA(cudaStreamSynchronize(stream_));
  float milliseconds = 0;
  MOELINE_CUDA(cudaEventElapsedTime(&milliseconds, begin_, end_));
  Sample sample{.seconds = milliseconds * 1e-3 / times};
  const auto nanoseconds = static_cast<double>(shared_->after.nanoseconds - shared_->before.nanoseconds);
  if (nanoseconds >= kReadableNanoseconds) {
    sample.clock_hz = static_cast<double>(shared_->after.clocks - shared_->before.clocks) / nanoseconds * 1e9;
    sample.disturbed = sample.clock_hz < 0.75 * nominal_hz_;
  }
  return sample;
}

Sample Device::time(const Call& call, Caches caches, int launches) {
  make_current();
  int times = 1;
  if (caches == Caches::hot) {
    const Sample once = time(call, Caches::cold);
    times = std::clamp(static_cast<int>(std::ceil(kHotSeconds / once.seconds)), 1, std::max(1, kMostQueued / launches));
  }
  close_gate();
  if (caches == Caches::cold) empty_caches();
  queue(call, times);
  open_gate();
  return finish(times);
}

Sample CudaRun::sample(Caches caches) {
  return device_.time([this](cudaStream_t stream) { launch(stream); }, caches, launches());
}

}  // namespace moeline
