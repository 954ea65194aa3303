#include "plan/solve.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "error_of.hpp"
#include "scenarios.hpp"

using namespace moeline;
using Catch::Contains;
using Catch::WithinRel;

namespace {

Json trial_json() {
  return parse_json(
      R"({"model": {"base": "mixtral-8x7b", "num_hidden_layers": 8}, "hardware": "h100-sxm", "devices": 16,
      "recipe": "bf16", "parallelism": {"tp": 1, "pp": 1, "ep": 8},
      "workload": {"kind": "train", "sequence": 4096, "global_batch": 64, "micro_batch": 1, "overlap": [], "transport": "nccl"}})",
      "trial.json");
}

Root solved(const std::string& pointer, const std::string& want, VariedInput& input) {
  input = varied_input(trial_json(), "trial.json", pointer);
  return root_of(root_problem(trial_json(), "trial.json", Calibration{}, input, read_wanted(want, "train")));
}

}  // namespace

TEST_CASE("a square root is found where it is") {
  const Root root = root_of({.answer = [](double x) { return std::optional(x * x); }, .start = 1, .wanted = 50});
  REQUIRE(root.found);
  CHECK_THAT(root.found->input, WithinRel(std::sqrt(50), 1e-9));
  CHECK(root.monotone);
  CHECK(root.crossings == 1);
}

TEST_CASE("an answer that never gets there has no root and tells how far it got") {
  const Root root = root_of({.answer = [](double x) { return std::optional(3 + 1 / x); }, .start = 1, .wanted = 2});
  CHECK_FALSE(root.found);
  CHECK(root.samples.back().input == 4096);  // 2^12
  CHECK(root.samples.back().answer > 3);
}

TEST_CASE("an answer is found before inputs that cannot run") {
  // 1 / (3 - x) reaches 10 at 2.9; beyond 3 a queue grows without end. From 1: 2 runs, 4 does not.
  const Root root = root_of({.answer = [](double x) { return x < 3 ? std::optional(1 / (3 - x)) : std::nullopt; }, .start = 1, .wanted = 10});
  REQUIRE(root.found);
  CHECK_THAT(root.found->input, WithinRel(2.9, 1e-9));
}

TEST_CASE("a jump over what is wanted is no root") {
  const Root root =
      root_of({.answer = [](double x) { return std::optional(x < 3 ? 1.0 : 2.0); }, .start = 1, .wanted = 1.5});
  CHECK_FALSE(root.found);
  CHECK(root.jumps);
  CHECK_THAT(root.above->input, WithinRel(3, 1e-9));
}

TEST_CASE("of two crossings the one nearest to the present value is taken, and the second counted") {
  // (x - 3)^2 = 1 at 2 and at 4.
  const Root root = root_of({.answer = [](double x) { return std::optional((x - 3) * (x - 3)); },
                             .start = 2.2,
                             .wanted = 1,
                             .from = 1,
                             .to = 9});
  REQUIRE(root.found);
  CHECK_THAT(root.found->input, WithinRel(2, 1e-9));
  CHECK_FALSE(root.monotone);
  CHECK(root.crossings == 2);
}

TEST_CASE("a whole number is the nearest one, with both neighbours that can run") {
  // Multiples of 16 can run, as batches must; 10 x = 4567 lies between 448 and 464, nearer to 464? 4567 - 4480 = 87,
  // 4640 - 4567 = 73.
  const Root root =
      root_of({.answer = [](double x) { return std::fmod(x, 16) == 0 ? std::optional(10 * x) : std::nullopt; },
               .start = 64,
               .wanted = 4567,
               .integer = true});
  REQUIRE(root.found);
  CHECK(root.below->input == 448);
  CHECK(root.above->input == 464);
  CHECK(root.found->input == 464);
}

TEST_CASE("the value that solve finds gives the wanted step when it is set") {
  const Trial base = small();
  for (const char* pointer :
       {"/hardware/device/hbm_bandwidth", "/hardware/fabric/1/bandwidth", "/hardware/fabric/0/bandwidth"}) {
    VariedInput input;
    const double wanted = 0.99 * base.seconds();
    const Root root = solved(pointer, fmt::format("step_time={:.17g} s", wanted), input);
    INFO(pointer);
    REQUIRE(root.found);
    CHECK(root.found->input > input.value);
    CHECK_THAT(base.with({fmt::format("{}={}", pointer, input.text(root.found->input))}).seconds(),
               WithinRel(wanted, 1e-6));
  }
}

TEST_CASE("the value that solve finds gives the wanted token or request when it is served") {
  struct Wish {
    Trial base;
    std::string pointer, key;
    double wanted;
  };
  const auto tpot = [](const Trial& t) { return t.serve().tpot.value.in(second); };
  const Trial closed = served(), open = served_at_a_rate();
  for (const Wish& wish : {Wish{closed, "/hardware/device/hbm_bandwidth", "tpot", 0.9 * tpot(closed)},
                           Wish{closed, "/hardware/fabric/0/bandwidth", "tpot", 0.995 * tpot(closed)},
                           Wish{closed, "/hardware/device/dense_peak/fp8", "tokens_per_second", 0.99 * closed.serve().tokens_per_second},
                           Wish{open, "/workload/request_rate", "tpot", 1.2 * tpot(open)},
                           Wish{open, "/hardware/device/hbm_bandwidth", "ttft", 0.9 * open.serve().ttft.value.in(second)},
                           Wish{open, "/workload/memory_fraction", "memory_headroom", 20e9}}) {
    INFO(wish.pointer << " for " << wish.key);
    const char* unit = wish.key.starts_with("t") && wish.key.size() == 4 ? " s" : wish.key == "memory_headroom" ? " B" : "";
    const VariedInput input = varied_input(wish.base.json(), "trial.json", wish.pointer);
    const Wanted wanted = read_wanted(fmt::format("{}={:.17g}{}", wish.key, wish.wanted, unit), "serve");
    const Root root = root_of(root_problem(wish.base.json(), "trial.json", Calibration{}, input, wanted));
    REQUIRE(root.found);
    const Trial then = wish.base.with({fmt::format("{}={}", wish.pointer, input.text(root.found->input))});
    CHECK_THAT(*figure(then.scenario(), then.outcome(), wish.key), WithinRel(wish.wanted, 1e-6));
  }
}

TEST_CASE("users are solved for, and what saturates or does not fit cannot be the answer") {
  const auto solve = [](const Trial& base, const char* pointer, const std::string& want) {
    const VariedInput input = varied_input(base.json(), "trial.json", pointer);
    return root_of(root_problem(base.json(), "trial.json", Calibration{}, input, read_wanted(want, "serve")));
  };
  const Root users = solve(served(), "/workload/concurrency", "tokens_per_second_per_user=50");
  REQUIRE(users.found);
  REQUIRE(users.below);
  CHECK(users.above->input == users.below->input + 1);
  CHECK(users.below->answer >= 50);
  CHECK(users.above->answer <= 50);
  // A token of a worker that is asked for more than it sustains takes no time that could be wanted.
  const Root rate = solve(served_at_a_rate(), "/workload/request_rate", "tpot=10 s");
  CHECK_FALSE(rate.found);
  CHECK(rate.samples.back().input < 1000);
  const Root fits = solve(served(), "/hardware/device/hbm_capacity", "max_concurrency=100");
  REQUIRE(fits.found);
  CHECK(fits.found->answer == 100);
}

TEST_CASE("memory is solved for across what does not fit") {
  VariedInput input;
  const Root root = solved("/workload/sequence", "memory_headroom=0 GB", input);
  REQUIRE(root.found);
  REQUIRE(root.below);
  CHECK(root.below->answer >= 0);
  CHECK(root.above->answer < 0);  // the next one overflows
}

TEST_CASE("money and energy are solved for where the machine states its price and power") {
  const auto solve = [](Json json, const char* pointer, const std::string& want) {
    const VariedInput input = varied_input(json, "trial.json", pointer);
    return root_of(root_problem(json, "trial.json", Calibration{}, input, read_wanted(want, "train")));
  };
  // Money is the rate times the time: a third less of one is a third less of the other.
  Json priced = trial_json();
  set_field(priced, R"(/hardware/price={"per_device_hour": 3.0, "currency": "USD", "source": "test"})", "trial.json");
  const double now = 3.0 * 16 * small().seconds() / 3600 / (64 * 4096.0) * 1e6;
  const Root cheaper = solve(priced, "/hardware/price/per_device_hour", fmt::format("cost_per_million_tokens={:.17g}", 2.0 / 3 * now));
  REQUIRE(cheaper.found);
  CHECK_THAT(cheaper.found->input, WithinRel(2.0, 1e-6));
  const Root frugal = solve(trial_json(), "/hardware/node/power_per_device", "kilowatt_hours_per_million_tokens=0.02");
  REQUIRE(frugal.found);
  CHECK_THAT(frugal.found->answer, WithinRel(0.02, 1e-6));
  CHECK_THAT(error_of([&] { solve(trial_json(), "/hardware/device/hbm_bandwidth", "cost_per_million_tokens=1"); }),
             Contains("states no price"));
}

TEST_CASE("a whole batch gives the nearest throughput") {
  VariedInput input;
  const Root root = solved("/workload/global_batch",
                           fmt::format("tokens_per_second={:.17g}", 1.01 * small().train().tokens_per_second), input);
  REQUIRE(root.found);
  CHECK(input.integer);
  CHECK(std::fmod(root.found->input, 16) == 0);  // dp = 16
}

TEST_CASE("a wish or a pointer that means nothing is refused in a line") {
  CHECK_THAT(error_of([] { read_wanted("mfuu=0.4", "train"); }), Contains("did you mean \"mfu\"?"));
  CHECK_THAT(error_of([] { read_wanted("mfu", "train"); }), Contains("expected KEY=VALUE"));
  CHECK_THAT(error_of([] { read_wanted("step_time=12", "train"); }), Contains("unit"));
  CHECK_THAT(error_of([] { read_wanted("step_time=12 ms", "serve"); }), Contains("known are cost_per_million_tokens, max_concurrency"));
  CHECK_THAT(error_of([] { read_wanted("tpott=12 ms", "serve"); }), Contains("did you mean \"tpot\"?"));
  CHECK_THAT(error_of([] { read_wanted("step_time=12 GB", "train"); }), Contains("wrong kind of unit"));
  CHECK_THAT(error_of([] { read_wanted("mfu=fast", "train"); }), Contains("not a number"));
  CHECK_THAT(error_of([] { varied_input(trial_json(), "trial.json", "/hardware/device/hbm"); }),
             Contains("no such field"));
  CHECK_THAT(error_of([] { varied_input(trial_json(), "trial.json", "/hardware/device/name"); }),
             Contains("is not a number"));
  CHECK(read_wanted("mfu=40 %", "train").value == read_wanted("mfu=0.4", "train").value);
}
