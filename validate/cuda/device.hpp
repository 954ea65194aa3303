// A GPU as a run needs it: memory with guards, a stream, a way to empty its caches, and how long something took.
//
//   gate shut │ read clock │ event │ the call │ event │ read clock      queued on the stream while the gate is shut,
//             └ opens when all is queued                                so that no launch is waited for inside
// Cold: twice the second-level cache is written before the events. Hot: the call follows itself, at least kHotSeconds
// in all.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "validate/backend.hpp"
#include "validate/kernels/passes.hpp"

namespace moeline {

// HardwareError, with the call's text, if it failed. A failure that the device does not recover from stays an error for
// all later calls.
void require(cudaError_t error, const char* call);
#define MOELINE_CUDA(call) ::moeline::require(call, #call)

// Device memory, filled with ones: NaN in bf16, FP32 and E4M3; with a pattern before and behind.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  explicit DeviceMemory(std::size_t bytes);

  void* data() const { return memory_ == nullptr ? nullptr : memory_.get() + kGuard; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data());
  }
  std::size_t bytes() const { return bytes_; }
  void poison();
  bool guards_alive() const;
  void upload(const void* from, std::size_t bytes);
  void download(void* to, std::size_t from, std::size_t bytes) const;

  template <class T>
  static DeviceMemory of(const std::vector<T>& values) {
    DeviceMemory memory(values.size() * sizeof(T));
    memory.upload(values.data(), values.size() * sizeof(T));
    return memory;
  }
  template <class T>
  std::vector<T> read(std::size_t first, std::size_t count) const {
    std::vector<T> values(count);
    download(values.data(), first * sizeof(T), count * sizeof(T));
    return values;
  }

 private:
  static constexpr std::size_t kGuard = 1024;
  struct Free {
    void operator()(std::uint8_t* p) const { cudaFree(p); }
  };
  std::unique_ptr<std::uint8_t, Free> memory_;
  std::size_t bytes_ = 0;
};

class Device {
 public:
  explicit Device(int ordinal);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  using Call = std::function<void(cudaStream_t)>;
  // Runs once, and waits; HardwareError if the kernel died.
  void run(const Call& call);
  // A call is `launches` kernels: the queue of a stream is short, and queueing beyond it would wait for the gate.
  Sample time(const Call& call, Caches caches, int launches = 1);
  // What `time` does around the call, for those who start several devices at once: close, queue, open, finish.
  void close_gate();
  void open_gate();
  void queue(const Call& call, int times);
  Sample finish(int times);
  void empty_caches();

  int ordinal() const { return ordinal_; }
  int generation() const { return generation_; }  // 90, 100, 103, 120
  int multiprocessors() const { return multiprocessors_; }
  const std::string& name() const { return name_; }
  cudaStream_t stream() const { return stream_; }
  void make_current() const;

 private:
  struct Shared;  // page-locked: the gate and the clock readings

  int ordinal_, generation_ = 0, multiprocessors_ = 0;
  double nominal_hz_ = 0;
  std::string name_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
  DeviceMemory cache_filler_;
  Shared* shared_ = nullptr;
};

// What every run of this backend shares.
class CudaRun : public Run {
 public:
  explicit CudaRun(Device& device) : device_(device) {}
  Sample sample(Caches caches) override;

 protected:
  virtual void launch(cudaStream_t stream) = 0;
  virtual int launches() const { return 1; }
  void run() {
    device_.run([this](cudaStream_t stream) { launch(stream); });
  }
  Device& device() { return device_; }

 private:
  Device& device_;
};

}  // namespace moeline
