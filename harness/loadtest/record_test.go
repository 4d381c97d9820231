package loadtest

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/turngate/turngate/harness/measure"
)

// checkSchema holds a record against the schema that is handed out, and makes sure that the schema
// refuses a broken one.
func checkSchema(t *testing.T, r measure.Record) {
	t.Helper()
	text, err := os.ReadFile("../../docs/record.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	rules, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	if text, err = json.Marshal(r); err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	if err := rules.Validate(document); err != nil {
		t.Errorf("the record is not as its schema says: %v", err)
	}
	step := document["steps"].([]any)[0].(map[string]any)
	step["up"].(map[string]any)["delay"] = "fast"
	if err := rules.Validate(document); err == nil {
		t.Error("the schema lets a delay be a word")
	}
}
