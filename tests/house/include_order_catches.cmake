# Does include_order.cmake see what it is there to see? Runs it on bad_tree/, where each file breaks one rule.
#   cmake -DHOUSE=tests/house -P include_order_catches.cmake
cmake_minimum_required(VERSION 3.25)
set(headers model/units.hpp model/ops/work.hpp model/spec/reader.hpp model/gpu/roofline.hpp model/wafer/roofline.hpp
    model/utils/misc.hpp model/gone.hpp)
execute_process(COMMAND ${CMAKE_COMMAND} -DROOT=${HOUSE}/bad_tree "-DHEADERS=${headers}" -P ${HOUSE}/include_order.cmake
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(status EQUAL 0)
  message(FATAL_ERROR "nothing was caught")
endif()
foreach(expected
    "model/spec/reader.hpp: includes \"ops/work.hpp\", but ops is not to the left of spec"
    "model/wafer/roofline.hpp: includes \"gpu/roofline.hpp\", but gpu is not to the left of wafer"
    "model/spec/missing_include.cpp: includes \"spec/missing.hpp\", which is not there"
    "model/ops/printing.cpp: model/ prints nothing"
    "model/utils/misc.hpp: folder \"utils\" has no place in the order"
    "model/ops/unlisted.hpp: add it to `headers`"
    "model/gone.hpp: listed in tests/CMakeLists.txt, but not there"
    "7 lines break the order")
  string(FIND "${output}" "${expected}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "not caught: ${expected}\n${output}")
  endif()
endforeach()
