// Tests that need a GPU: where none is, they are skipped, and say why.
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#include <iostream>

#include "gpu/device_at_hand.hpp"

namespace moeline {
namespace {

constexpr int kSkipped = 77;  // what CTest is told to take for "not run"

std::unique_ptr<Backend>& opened() {
  static std::unique_ptr<Backend> backend = cuda_backend();
  return backend;
}

}  // namespace

Backend& backend_at_hand() { return *opened(); }

}  // namespace moeline

int main(int count, char** arguments) {
  try {
    const moeline::Machine machine = moeline::backend_at_hand().machine();
    std::cout << machine.title;
    for (const auto& [name, version] : machine.versions) std::cout << ", " << name << " " << version;
    std::cout << "\n";
  } catch (const moeline::HardwareError& error) {
    std::cout << "skipped: " << error.what() << "\n";
    return moeline::kSkipped;
  }
  return Catch::Session().run(count, arguments);
}
