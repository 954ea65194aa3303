# Can another CMake project use what `cmake --install` leaves? Installs under SCRATCH, builds examples/cmake-project against it,
# and asks the program the first example.
#   cmake -DBUILD=build/dev -DROOT=. -DSCRATCH=... -DFLAGS="-fsanitize=..." -DGENERATOR=Ninja -P installed_package.cmake
cmake_minimum_required(VERSION 3.25)
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}: exit ${status}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${SCRATCH})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${SCRATCH}/prefix)
set(installed_examples ${SCRATCH}/prefix/share/moeline/examples)
run(${CMAKE_COMMAND} -G ${GENERATOR} -S ${installed_examples}/cmake-project -B ${SCRATCH}/project
  -DCMAKE_PREFIX_PATH=${SCRATCH}/prefix -DCMAKE_CXX_FLAGS=${FLAGS})
run(${CMAKE_COMMAND} --build ${SCRATCH}/project)
run(${SCRATCH}/project/step_time ${installed_examples}/deepseek-v3-256-gb200.json)
foreach(expected "step [0-9.]+ s, [0-9.]+ s to [0-9.]+ s\n" "weakest source: [a-z]+\n" "assumed: calibration: ")
  if(NOT output MATCHES "${expected}")
    message(FATAL_ERROR "the example lacks /${expected}/:\n${output}")
  endif()
endforeach()
