#include "spec/experts_backend.hpp"

#include <array>

namespace moeline {
namespace {

constexpr std::array<std::string_view, 4> kBackends{"eager", "batched_mm", "grouped_mm", "deepgemm"};
constexpr std::array<std::string_view, 3> kCompile{"none", "default", "max_autotune"};

}  // namespace

ExpertsCode read_experts_code(ObjectReader& reader) {
  ExpertsCode code;
  reader.skip_all({"experts_backend", "compile"});
  if (reader.has("experts_backend")) {
    std::vector<std::string> names(kBackends.begin(), kBackends.end());
    names.emplace_back("all");
    const std::string asked = reader.one_of("experts_backend", names);
    for (std::size_t i = 0; i < kBackends.size(); ++i) {
      if (asked == "all" || asked == kBackends[i]) code.backends.insert(static_cast<ExpertsBackend>(i));
    }
  }
  if (reader.has("compile")) {
    if (code.backends.empty()) reader.fail("compile", "applies to experts_backend, which is not given");
    const std::string asked = reader.one_of("compile", {kCompile.begin(), kCompile.end()});
    for (std::size_t i = 0; i < kCompile.size(); ++i) {
      if (asked == kCompile[i]) code.compile = static_cast<Compile>(i);
    }
  }
  return code;
}

std::string_view name(ExpertsBackend backend) { return kBackends[static_cast<std::size_t>(backend)]; }
std::string_view name(Compile compile) { return kCompile[static_cast<std::size_t>(compile)]; }

}  // namespace moeline
