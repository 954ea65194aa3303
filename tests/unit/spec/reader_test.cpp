#include "spec/reader.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "error_of.hpp"
#include "spec/json.hpp"

using namespace moeline;
using Catch::Contains;
using Catch::EndsWith;
using Catch::StartsWith;
using Catch::WithinRel;

namespace {

constexpr Dimension kBandwidth{.second = -1, .byte = 1};

Json json_of(std::string_view text) { return parse_json(text, "x.json"); }

std::string parse_error_of(std::string_view text) {
  return error_of([&] { parse_json(text, "x.json"); });
}

// The message that `read` leads to on the object `text`.
template <class Read>
std::string read_error_of(std::string_view text, Read read) {
  const Json json = json_of(text);
  return error_of([&] {
    ObjectReader reader(json, "x.json");
    read(reader);
    reader.finish();
  });
}

// A file that exists while the test runs.
class TemporaryFile {
 public:
  TemporaryFile(const std::string& name, const std::string& content)
      : path_(std::filesystem::temp_directory_path() / ("moeline_reader_test_" + name)) {
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("a misspelt required key is named with the key that was meant", "[unit]") {
  const std::string error = read_error_of(R"({"hmb_capacity": 1})", [](ObjectReader& r) { r.any("hbm_capacity"); });
  CHECK(error == R"(x.json#/hmb_capacity: unknown key, did you mean "hbm_capacity"?)");
}

TEST_CASE("a misspelt optional key is named with the key that was meant", "[unit]") {
  const std::string error =
      read_error_of(R"({"micro_bacth": 2})", [](ObjectReader& r) { r.integer_or("micro_batch", kPositive, 1); });
  CHECK(error == R"(x.json#/micro_bacth: unknown key, did you mean "micro_batch"?)");
}

TEST_CASE("a key near nothing gets the list of known keys", "[unit]") {
  const std::string error = read_error_of(R"({"colour": 2})", [](ObjectReader& r) { r.skip_all({"tp", "pp"}); });
  CHECK(error == "x.json#/colour: unknown key; known are tp, pp");
}

TEST_CASE("a key that is asked for twice is listed once", "[unit]") {
  const std::string error = read_error_of(R"({"colour": 2, "tp": 4})", [](ObjectReader& r) {
    r.skip_all({"tp", "pp"});
    r.integer_or("tp", kPositive, 1);
  });
  CHECK(error == "x.json#/colour: unknown key; known are tp, pp");
}

TEST_CASE("a required key that is absent is said to be missing, without a far-fetched guess", "[unit]") {
  CHECK(read_error_of("{}", [](ObjectReader& r) { r.any("model"); }) ==
        "x.json#/model: missing, this key is required");
  CHECK(read_error_of(R"({"llc_capacity": 1})", [](ObjectReader& r) { r.any("hbm_capacity"); }) ==
        "x.json#/hbm_capacity: missing, this key is required");
}

TEST_CASE("pointers in messages escape / and ~ and carry no control characters", "[unit]") {
  CHECK_THAT(read_error_of(R"({"a/b~c\n": 1})", [](ObjectReader&) {}), StartsWith("x.json#/a~1b~0c?: unknown key"));
}

TEST_CASE("a fact needs its source", "[unit]") {
  const auto read = [](ObjectReader& r) { r.fact<kBandwidth>("hbm_bandwidth"); };
  CHECK(read_error_of(R"({"hbm_bandwidth": {"value": "4.8 TB/s"}})", read) ==
        "x.json#/hbm_bandwidth/source: missing: every fact names its source");
  CHECK(read_error_of(R"({"hbm_bandwidth": {"value": "4.8 TB/s", "source": ""}})", read) ==
        "x.json#/hbm_bandwidth/source: empty: every fact names its source");
  CHECK(read_error_of(R"({"hbm_bandwidth": {"value": "4.8 TB/s", "source": null}})", read) ==
        "x.json#/hbm_bandwidth/source: missing: every fact names its source");
  CHECK_THAT(read_error_of(R"({"hbm_bandwidth": "4.8 TB/s"})", read),
             StartsWith("x.json#/hbm_bandwidth: expected an object"));
  CHECK(read_error_of(R"({"hbm_bandwidth": {"value": "4.8 TB/s", "source": "datasheet"}})", read) == "no error");
}

TEST_CASE("a fact carries value, source and whether it was inferred", "[unit]") {
  const Json json = json_of(R"({"f": {"value": "4.8 TB/s", "source": "datasheet", "inferred": true}})");
  ObjectReader reader(json, "x.json");
  const auto fact = reader.fact<kBandwidth>("f");
  CHECK_THAT(fact.value.in(terabyte_per_second), WithinRel(4.8));
  CHECK(fact.source == "datasheet");
  CHECK(fact.inferred);
}

TEST_CASE("a dimensional value without unit is refused, with the units that fit", "[unit]") {
  const auto read = [](ObjectReader& r) { r.quantity<kBandwidth>("rate"); };
  CHECK(read_error_of(R"({"rate": 4.8})", read) == "x.json#/rate: 4.8 has no unit, write it as a string with one of B/s, kB/s, MB/s, GB/s, TB/s, PB/s, GiB/s, "
        "bit/s, Mbit/s, Gbit/s, Tbit/s");
  CHECK_THAT(read_error_of(R"({"rate": "4.8"})", read), Contains("the unit is missing") && Contains("GB/s"));
  CHECK_THAT(read_error_of(R"({"rate": true})", read), Contains("expected a quantity"));
}

TEST_CASE("a value of another dimension is refused, with the units that fit", "[unit]") {
  const auto read = [](ObjectReader& r) { r.quantity<kBandwidth>("rate"); };
  CHECK_THAT(read_error_of(R"({"rate": "4.8 TB"})", read),
             StartsWith(R"(x.json#/rate: "4.8 TB" has the wrong kind of unit (units here: B/s)"));
}

TEST_CASE("zero, negative and infinite quantities are refused", "[unit]") {
  const auto read = [](ObjectReader& r) { r.quantity<kBandwidth>("rate"); };
  CHECK_THAT(read_error_of(R"({"rate": "0 TB/s"})", read), EndsWith("must be greater than zero"));
  CHECK_THAT(read_error_of(R"({"rate": "-1 TB/s"})", read), EndsWith("must be greater than zero"));
  CHECK_THAT(read_error_of(R"({"rate": "nan TB/s"})", read), Contains("expected a number and a unit"));
  CHECK_THAT(read_error_of(R"({"rate": "1e999 TB/s"})", read), Contains("out of range"));
}

TEST_CASE("integers are whole and within their range", "[unit]") {
  const auto read = [](ObjectReader& r) { r.integer("n", {1, 64}); };
  for (const char* good : {"1", "64", "8.0", "8e0"}) {
    CHECK(read_error_of(std::string(R"({"n": )") + good + "}", read) == "no error");
  }
  CHECK(read_error_of(R"({"n": 0})", read) == "x.json#/n: 0 is out of range, expected 1 to 64");
  CHECK(read_error_of(R"({"n": -3})", read) == "x.json#/n: -3 is out of range, expected 1 to 64");
  CHECK(read_error_of(R"({"n": 65})", read) == "x.json#/n: 65 is out of range, expected 1 to 64");
  CHECK(read_error_of(R"({"n": 1.5})", read) == "x.json#/n: expected a whole number, not 1.5");
  CHECK_THAT(read_error_of(R"({"n": "8"})", read), Contains("expected a whole number, not \"8\""));
  CHECK_THAT(read_error_of(R"({"n": 1e300})", read), Contains("expected a whole number"));
  CHECK_THAT(read_error_of(R"({"n": 18446744073709551615})", read), Contains("out of range"));
  CHECK_THAT(read_error_of(R"({"n": 9223372036854775808})", read), Contains("out of range"));
  CHECK_THAT(read_error_of(R"({"n": -9223372036854775808})", read), Contains("out of range"));
}

TEST_CASE("an integer without upper bound says only where it begins", "[unit]") {
  CHECK(read_error_of(R"({"n": 0})", [](ObjectReader& r) { r.integer("n", kPositive); }) ==
        "x.json#/n: 0 is out of range, expected at least 1");
}

TEST_CASE("numbers, strings, booleans and arrays are what they are asked to be", "[unit]") {
  CHECK_THAT(read_error_of(R"({"x": "1"})", [](ObjectReader& r) { r.number("x", 0, 1); }), Contains("expected a number"));
  CHECK_THAT(read_error_of(R"({"x": 1.01})", [](ObjectReader& r) { r.number("x", 0, 1); }), Contains("expected 0 to 1"));
  CHECK_THAT(read_error_of(R"({"x": 1})", [](ObjectReader& r) { r.string("x"); }), Contains("expected a string"));
  CHECK_THAT(read_error_of(R"({"x": 1})", [](ObjectReader& r) { r.boolean("x"); }), Contains("expected true or false"));
  CHECK_THAT(read_error_of(R"({"x": {}})", [](ObjectReader& r) { r.objects("x"); }), Contains("expected an array"));
  CHECK_THAT(read_error_of(R"({"x": [1, "a"]})", [](ObjectReader& r) { r.integers("x", kPositive); }),
             Contains("expected a whole number, not \"a\""));
  CHECK_THAT(read_error_of(R"({"x": ["a", 1]})", [](ObjectReader& r) { r.strings("x"); }), Contains("found 1"));
  CHECK_THAT(read_error_of(R"({"x": "1f1c"})", [](ObjectReader& r) { r.one_of("x", {"1f1b", "gpipe"}); }),
             Contains(R"(unknown value "1f1c", did you mean "1f1b"?)"));
}

TEST_CASE("null counts as absent where a key is optional", "[unit]") {
  const Json json = json_of(R"({"n": null})");
  ObjectReader reader(json, "x.json");
  CHECK_FALSE(reader.has("n"));
  CHECK(reader.integer_or("n", kPositive, 7) == 7);
  CHECK_NOTHROW(reader.finish());
}

TEST_CASE("objects inside arrays are named by index", "[unit]") {
  const std::string error = read_error_of(R"({"fabric": [{"name": "a"}, {"name": 2}]})", [](ObjectReader& r) {
    for (ObjectReader& tier : r.objects("fabric")) tier.string("name");
  });
  CHECK(error == "x.json#/fabric/1/name: expected a string, not 2");
}

TEST_CASE("an empty file says so", "[unit]") {
  CHECK(parse_error_of("") == "x.json: the file is empty");
  CHECK(parse_error_of(" \n\t\r\n") == "x.json: the file is empty");
}

TEST_CASE("a truncated file says so, wherever it was cut", "[unit]") {
  const std::string whole = R"({"model": "deepseek-v3", "devices": 256, "list": [true, null, -1.5e3]})";
  for (std::size_t length = 1; length < whole.size(); ++length) {
    INFO(whole.substr(0, length));
    CHECK_THAT(parse_error_of(whole.substr(0, length)), Contains("is the file truncated?"));
  }
  CHECK(parse_error_of(whole) == "no error");
}

TEST_CASE("a fault in the last byte is not taken for a truncated file", "[unit]") {
  CHECK(parse_error_of("{}}") == "x.json: not valid JSON at line 1, byte 3");
}

TEST_CASE("broken JSON is placed by line and byte", "[unit]") {
  CHECK(parse_error_of("{\n\"a\": 1,\n}\n ") == "x.json: not valid JSON at line 3, byte 11");
  CHECK_THAT(parse_error_of("{'a': 1}"), Contains("line 1, byte 2"));
  CHECK_THAT(parse_error_of("{\"a\": 1} x "), Contains("not valid JSON"));
}

TEST_CASE("binary content, NaN and Infinity are no JSON", "[unit]") {
  CHECK_THAT(parse_error_of(std::string_view("\x7f" "ELF\x02\x01\x00\x00 ", 9)), Contains("not valid JSON"));
  CHECK_THAT(parse_error_of(std::string_view("{\"a\": \"\xff\xfe\"} ", 12)), Contains("not valid JSON"));
  CHECK_THAT(parse_error_of(std::string_view("\0\0\0\0 ", 5)), Contains("not valid JSON"));
  CHECK_THAT(parse_error_of(R"({"a": NaN} )"), Contains("not valid JSON"));
  CHECK_THAT(parse_error_of(R"({"a": Infinity} )"), Contains("not valid JSON"));
}

TEST_CASE("a number beyond double is refused", "[unit]") {
  CHECK(parse_error_of(R"({"a": 1e999})") == "x.json: a number in the JSON is out of range");
  CHECK(parse_error_of(R"({"a": -1e999})") == "x.json: a number in the JSON is out of range");
}

TEST_CASE("a key given twice is refused, at any depth, but not in different objects", "[unit]") {
  CHECK(parse_error_of(R"({"tp": 1, "tp": 2})") == "x.json: key \"tp\" appears twice in one object");
  CHECK_THAT(parse_error_of(R"({"a": [{"tp": 1, "b": {}, "tp": 2}]})"), Contains("appears twice"));
  CHECK(parse_error_of(R"({"a": {"tp": 1}, "b": {"tp": 2}, "c": [{"tp": 1}, {"tp": 1}]})") == "no error");
}

TEST_CASE("64 levels are read, 65 are not, and a million do not exhaust the stack", "[unit]") {
  const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  CHECK(parse_error_of(nested(64)) == "no error");
  CHECK(parse_error_of(nested(65)) == "x.json: nested deeper than 64 levels");
  CHECK_THAT(parse_error_of(nested(1000000)), Contains("nested deeper"));
  CHECK(parse_error_of("\"" + std::string(100, '[') + "\"") == "no error");  // brackets in text are text
  CHECK(parse_error_of(R"(["\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["])") == "no error");
}

TEST_CASE("a document that is no object is refused by the reader", "[unit]") {
  const Json json = json_of("[1, 2]");
  CHECK(error_of([&] { ObjectReader(json, "x.json"); }) == "x.json: expected an object {...}, not [1,2]");
}

TEST_CASE("long values are shown shortened", "[unit]") {
  const std::string error = read_error_of(R"({"n": ")" + std::string(500, 'x') + R"("})",
                                          [](ObjectReader& r) { r.integer("n", kPositive); });
  CHECK(error.size() < 120);
  CHECK_THAT(error, EndsWith("..."));
}

TEST_CASE("a file that is not there, and a directory, cannot be read", "[unit]") {
  CHECK(error_of([] { read_file("/nonexistent/x.json"); }) ==
        "/nonexistent/x.json: cannot be read: no such file, or no permission");
  CHECK_THAT(error_of([] { read_file("/"); }), StartsWith("/: cannot be read"));
}

TEST_CASE("a file without read permission cannot be read", "[unit]") {
  const TemporaryFile file("secret.json", "{}");
  std::filesystem::permissions(file.path(), std::filesystem::perms::none);
  if (std::ifstream(file.path())) return;  // the superuser reads everything
  CHECK_THAT(error_of([&] { read_file(file.path()); }), Contains("cannot be read"));
}

TEST_CASE("a file is read whole, up to 16 MB and no further", "[unit]") {
  const std::string content("{\"a\": \"\x01\r\n\"}\0", 14);
  const TemporaryFile small("small.json", content);
  CHECK(read_file(small.path()) == content);

  const std::size_t limit = 16u << 20;
  const TemporaryFile full("full.json", std::string(limit, ' '));
  CHECK(read_file(full.path()).size() == limit);
  const TemporaryFile large("large.json", std::string(limit + 1, ' '));
  CHECK_THAT(error_of([&] { read_file(large.path()); }), Contains("larger than 16 MB"));
  CHECK_THAT(parse_error_of("1" + std::string(limit, ' ')), Contains("limit 16 MB"));
}

TEST_CASE("the nearest name is within a third of the length", "[unit]") {
  const std::vector<std::string> names{"deepseek-v3", "mixtral-8x7b", "qwen3-8b"};
  CHECK(nearest("deepseek-v3", names) == "deepseek-v3");
  CHECK(nearest("deepsek-v3", names) == "deepseek-v3");
  CHECK(nearest("dpeeseek-v3", names) == "deepseek-v3");  // one swap
  CHECK(nearest("mixtral", names).empty());
  CHECK(nearest("", names).empty());
  CHECK(nearest("x", {}).empty());
  CHECK(nearest(std::string(100000, 'd'), names).empty());
}

TEST_CASE("an unknown name near nothing gets the list", "[unit]") {
  CHECK(did_you_mean("zzz", {"tp", "pp"}) == "; known are tp, pp");
  CHECK(did_you_mean("pt", {"tp", "pp"}) == ", did you mean \"tp\"?");
  CHECK(did_you_mean("x", {}).empty());
}
