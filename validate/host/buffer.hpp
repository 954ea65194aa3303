// Memory of a case: aligned to pages, mapped by first touch, and for outputs guarded on both sides.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "validate/backend.hpp"

namespace moeline {

template <class T>
class Buffer {
 public:
  explicit Buffer(std::size_t size) : size_(size) {
    const std::size_t bytes = (size * sizeof(T) + 2 * kGuard + kPage - 1) / kPage * kPage;
    memory_.reset(static_cast<std::uint8_t*>(std::aligned_alloc(kPage, bytes)));
    if (!memory_) throw HardwareError("out of memory: " + std::to_string(bytes) + " bytes wanted");
    poison();
  }
  T* data() { return reinterpret_cast<T*>(memory_.get() + kGuard); }
  const T* data() const { return reinterpret_cast<const T*>(memory_.get() + kGuard); }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data()[i]; }
  const T& operator[](std::size_t i) const { return data()[i]; }

  // All bits set: NaN in every floating format of 8 to 64 bits. The guards get another pattern.
  void poison() {
    std::memset(data(), 0xff, size_ * sizeof(T));
    std::memset(memory_.get(), kCanary, kGuard);
    std::memset(behind(), kCanary, kGuard);
  }
  bool guards_alive() const {
    const auto alive = [](const std::uint8_t* guard) {
      return std::all_of(guard, guard + kGuard, [](std::uint8_t b) { return b == kCanary; });
    };
    return alive(memory_.get()) && alive(behind());
  }

 private:
  static constexpr std::size_t kPage = 4096, kGuard = 256;
  static constexpr std::uint8_t kCanary = 0xc5;
  struct Free {
    void operator()(std::uint8_t* p) const { std::free(p); }
  };
  std::uint8_t* behind() const { return memory_.get() + kGuard + size_ * sizeof(T); }

  std::size_t size_;
  std::unique_ptr<std::uint8_t, Free> memory_;
};

}  // namespace moeline
