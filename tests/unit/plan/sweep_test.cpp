#include "plan/sweep.hpp"

#include <catch2/catch.hpp>
#include <set>

#include "error_of.hpp"
#include "plan/pareto.hpp"
#include "plan/point.hpp"

namespace moeline {
namespace {

std::vector<std::string> all_of(const char* text) {
  const Axis axis("/x", parse_json(text, "x"), "x");
  std::vector<std::string> list;
  for (std::uint64_t i = 0; i < axis.count(); ++i) list.push_back(axis.value(i).dump());
  return list;
}

std::string wrong(const char* text) {
  return error_of([&] { Axis("/x", parse_json(text, "x"), "x"); });
}

Sweep sweep(const char* vary, const char* mode) {
  return read_sweep(
      Json{{"scenario", Json::object()}, {"vary", parse_json(vary, "vary")}, {"mode", parse_json(mode, "mode")}},
      "s.json");
}

std::vector<std::string> rows(const Sweep& sweep) {
  std::vector<std::string> list;
  for (std::uint64_t i = 0; i < sweep.points(); ++i) list.push_back(Json(sweep.values(i)).dump());
  return list;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("ranges hold both ends where a step lands on them") {
  CHECK(all_of(R"("256..2048*2")") == Texts{"256", "512", "1024", "2048"});
  CHECK(all_of(R"("1..9+2")") == Texts{"1", "3", "5", "7", "9"});
  CHECK(all_of(R"("1..10+4")") == Texts{"1", "5", "9"});
  CHECK(all_of(R"("3..5")") == Texts{"3", "4", "5"});
  CHECK(all_of(R"("0.1..0.5+0.2")") == Texts{"0.1", "0.3", "0.5"});
  CHECK(all_of(R"("1 TB/s..8 TB/s*2")") == Texts{R"("1 TB/s")", R"("2 TB/s")", R"("4 TB/s")", R"("8 TB/s")"});
  CHECK(all_of(R"("100 GB/s .. 300 GB/s + 100 GB/s")") == Texts{R"("100 GB/s")", R"("200 GB/s")", R"("300 GB/s")"});
  CHECK(all_of(R"("1e+2..3e+2+100")") == Texts{"100", "200", "300"});
  CHECK(all_of(R"({"from": 1, "to": 1000, "scale": "log", "steps": 4})") == Texts{"1", "10", "100", "1000"});
  CHECK(all_of(R"({"from": 0, "to": 1, "steps": 5})") == Texts{"0", "0.25", "0.5", "0.75", "1"});
}

TEST_CASE("a range that cannot be meant is refused in one line") {
  CHECK_THAT(wrong(R"("1..9*1")"), Catch::Contains("the step must be above *1"));
  CHECK_THAT(wrong(R"("9..1")"), Catch::Contains("ends before it starts"));
  CHECK_THAT(wrong(R"("1..9+0")"), Catch::Contains("the step must be above +0"));
  CHECK_THAT(wrong(R"("0..9*2")"), Catch::Contains("a product starts above 0"));
  CHECK_THAT(wrong(R"("1 TB..9 TB/s*2")"), Catch::Contains("both ends need the same unit"));
  CHECK_THAT(wrong(R"("1 TB/s..9 TB/s")"), Catch::Contains("say the step"));
  CHECK_THAT(wrong(R"("1 parsec..9 parsec*2")"), Catch::Contains("parsec"));
  CHECK_THAT(wrong(R"("mxfp8")"), Catch::Contains("expected a list"));
  CHECK_THAT(wrong(R"("1..nan")"), Catch::Contains("expected a number"));
  CHECK_THAT(wrong(R"("0..1e300+1")"), Catch::Contains("more than a billion values"));
  CHECK_THAT(wrong("[]"), Catch::Contains("the list is empty"));
  CHECK_THAT(wrong(R"({"from": 0, "to": 8, "scale": "log"})"), Catch::Contains("starts above 0"));
  CHECK_THAT(wrong(R"({"from": 1, "till": 8})"), Catch::Contains("x"));
}

TEST_CASE("in a grid the last field varies fastest") {
  CHECK(rows(sweep(R"({"/a": [1, 2], "/b": ["x", "y", "z"]})", R"("grid")")) ==
        Texts{R"([1,"x"])", R"([1,"y"])", R"([1,"z"])", R"([2,"x"])", R"([2,"y"])", R"([2,"z"])"});
}

TEST_CASE("a zip takes the values of all fields side by side") {
  CHECK(rows(sweep(R"({"/a": [1, 2], "/b": "8..16*2"})", R"("zip")")) == Texts{"[1,8]", "[2,16]"});
  CHECK_THAT(error_of([] { sweep(R"({"/a": [1, 2], "/b": [1]})", R"("zip")"); }),
             Catch::Contains("a zip needs as many of each"));
}

TEST_CASE("random samples depend on the seed and their number alone, and stay inside") {
  const char* vary =
      R"({"/a": [1, 2, 3], "/n": {"from": 4, "to": 7}, "/w": {"from": "1 TB/s", "to": "8 TB/s", "scale": "log"}})";
  const Sweep short_one = sweep(vary, R"({"random": 50, "seed": 7})"),
              long_one = sweep(vary, R"({"random": 400, "seed": 7})");
  std::set<std::string> lists, wholes;
  for (std::uint64_t i = 0; i < 400; ++i) {
    const std::vector<Json> values = long_one.values(i);
    if (i < 50) CHECK(short_one.values(i) == values);
    lists.insert(values[0].dump());
    wholes.insert(values[1].dump());
    const double bandwidth = parse_quantity(values[2].get<std::string>()).in_base;
    CHECK(bandwidth >= 1e12);
    CHECK(bandwidth <= 8e12);
  }
  CHECK(lists == std::set<std::string>{"1", "2", "3"});
  CHECK(wholes == std::set<std::string>{"4", "5", "6", "7"});  // both ends
  CHECK(rows(sweep(vary, R"({"random": 50, "seed": 8})")) != rows(short_one));
}

TEST_CASE("a latin hypercube hits each of its N parts once in every field") {
  const Sweep cube =
      sweep(R"({"/a": {"from": 0.0, "to": 1.0}, "/b": {"from": 0.0, "to": 1.0}})", R"({"latin_hypercube": 37})");
  std::set<int> a, b;
  for (std::uint64_t i = 0; i < 37; ++i) {
    const std::vector<Json> values = cube.values(i);
    a.insert(static_cast<int>(values[0].get<double>() * 37));
    b.insert(static_cast<int>(values[1].get<double>() * 37));
  }
  CHECK(a.size() == 37);
  CHECK(b.size() == 37);
}

TEST_CASE("shuffling is a permutation for every size and seed") {
  for (const std::uint64_t size : {1, 2, 3, 7, 64, 1000}) {
    for (const std::uint64_t seed : {0, 1, 99}) {
      std::set<std::uint64_t> seen;
      for (std::uint64_t i = 0; i < size; ++i) seen.insert(shuffled(i, size, seed));
      CHECK(seen.size() == size);
      CHECK(*seen.rbegin() == size - 1);
    }
  }
}

TEST_CASE("a grid of a billion billion points is refused, one of a billion is only numbered") {
  CHECK(sweep(R"({"/a": "1..1000", "/b": "1..1000", "/c": "1..1000"})", R"("grid")").points() == 1000000000);
  CHECK_THAT(error_of([] { sweep(R"({"/a": "1..1000000", "/b": "1..1000000", "/c": "1..1000000"})", R"("grid")"); }),
             Catch::Contains("more than can be numbered"));
}

TEST_CASE("a span without steps is refused in a grid") {
  CHECK_THAT(error_of([] { sweep(R"({"/a": {"from": 1, "to": 2}})", R"("grid")"); }),
             Catch::Contains("needs \"steps\""));
}

TEST_CASE("the front keeps exactly the rows that no other beats") {
  // Against the definition, on 300 points of a coarse lattice, where ties abound.
  std::vector<std::pair<double, double>> points;
  for (std::uint64_t i = 0; i < 300; ++i) {
    points.emplace_back(static_cast<double>(shuffled(i, 300, 1) % 17), static_cast<double>(shuffled(i, 300, 2) % 13));
    if (points.back().first + points.back().second < 7) points.back() = {8, 8};
  }
  ParetoFront front;
  std::vector<std::uint64_t> expected, kept;
  for (std::uint64_t i = 0; i < points.size(); ++i) {
    const auto [x, y] = points[i];
    front.add({i, x, y, ""});
    bool beaten = false;
    for (const auto& [u, v] : points) beaten |= u <= x && v <= y && (u < x || v < y);
    if (!beaten) expected.push_back(i);
  }
  for (const FrontRow& row : front.rows()) kept.push_back(row.point);
  CHECK(kept == expected);
  CHECK(front.size() == kept.size());
  CHECK(kept.size() > 3);
}

TEST_CASE("a condition compares one column with a number, which may carry a unit") {
  const Columns columns = columns_of("train", {"/parallelism/ep", "/hardware/device/hbm_bandwidth"});
  Point point{
      .varied = {8, "6 TB/s"}, .figures = {1.5, 1.0, 2.0, 1e5, 1e4, 0.4, 1e11, 1.4e11}, .feasible = true, .reason = ""};
  const auto holds = [&](const char* text) { return Condition(text, columns, "--where").holds(point); };
  CHECK(holds("feasible"));
  CHECK(holds("memory_fits"));
  CHECK(holds("mfu>=0.4"));
  CHECK_FALSE(holds("mfu>0.4"));
  CHECK(holds("ep=8"));
  CHECK(holds("/parallelism/ep<=8"));
  CHECK(holds("memory_required_bytes<110 GB"));
  CHECK(holds("hbm_bandwidth>5 TB/s"));
  CHECK_THAT(error_of([&] { holds("mfuu>1"); }), Catch::Contains("did you mean \"mfu\"?"));
  CHECK_THAT(error_of([&] { holds("mfu>"); }), Catch::Contains("expected a number"));
  point.figures[6] = 1.5e11;
  CHECK_FALSE(holds("memory_fits"));
  point.figures[6].reset();
  CHECK_FALSE(holds("memory_fits"));  // unknown is no fit
  CHECK_FALSE(holds("memory_required_bytes<1e15"));
}

}  // namespace moeline
