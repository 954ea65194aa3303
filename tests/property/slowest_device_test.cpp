// What does a step owe to the slowest of its devices?
#include "fit/answer.hpp"
#include "routing/imbalance.hpp"
#include "scenarios.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

struct Asked {
  Seconds step, products, waited;
};

// `small` with the kernels of its device, on so many devices of such a spread.
Asked asked(const std::string& devices, const std::string& spread) {
  const std::string device = R"({"base": "h100-sxm", "device": {"rate_spread": {"value": )" + spread + R"(, "source": "test"}}})";
  const Trial trial = small().with({"/devices=" + devices, "/hardware=" + device});
  const Answer answer = answer_to(trial.json(), "trial.json");
  const auto& train = std::get<TrainEvaluation>(std::get<Evaluation>(answer.outcome).answer);
  Asked found{.step = train.step.value, .products = {}, .waited = {}};
  for (const BreakdownRow& row : train.breakdown.rows()) {
    if (row.name == "slowest device") {
      found.waited += row.exposed;
    } else if (row.bound_by == "tensor") {
      found.products += row.exposed;
    }
  }
  return found;
}

}  // namespace

TEST_CASE("what the tensor cores bind waits for the slowest of all devices", "[property]") {
  const Asked sixteen = asked("16", "0.02");
  // The largest of 16 normal numbers is 1.76599 on average, as tables of order statistics say; five digits of it.
  CHECK_THAT(largest_of_normals(16), WithinRel(1.7660, 1e-4));
  REQUIRE_THAT(sixteen.waited.in(second), WithinRel(0.02 * largest_of_normals(16) * sixteen.products.in(second), 1e-9));  // rounding
  CHECK(asked("64", "0.02").waited / asked("64", "0.02").products > sixteen.waited / sixteen.products);
}

TEST_CASE("devices that are all alike wait for nobody", "[property]") {
  const Asked alike = asked("16", "0"), apart = asked("16", "0.02");
  CHECK(alike.waited == Seconds{});
  REQUIRE_THAT((alike.step + apart.waited).in(second), WithinRel(apart.step.in(second), 1e-9));  // rounding
}

TEST_CASE("a bound stays a floor, whatever the spread of its devices", "[property]") {
  CHECK_FALSE(small().has("slowest device"));
}
