/** One way of writing a clinical concept. Written all in capitals (`TIA`) it is found only in capitals. */
export interface Term {
  readonly surface: string;
  readonly id: string;
  readonly name: string;
  readonly category: string;
  /** How often training has seen it; where two concepts share a surface, the more frequent one is found. */
  readonly seen: number;
}

/** Concept id, preferred name, category, other ways to write it. The ids are SNOMED CT's. */
const CONCEPTS: readonly (readonly [id: string, name: string, category: string, ...others: string[]])[] = [
  ["42399005", "Kidney failure", "disorder", "renal failure"],
  ["709044004", "Chronic kidney disease", "disorder", "CKD"],
  ["14669001", "Acute kidney injury", "disorder", "AKI", "acute renal failure"],
  ["38341003", "Hypertension", "disorder", "high blood pressure", "HTN"],
  ["230690007", "Stroke", "disorder", "cerebrovascular accident", "CVA"],
  ["266257000", "Transient ischaemic attack", "disorder", "transient ischemic attack", "TIA"],
  ["274100004", "Intracerebral haemorrhage", "disorder", "intracerebral hemorrhage"],
  ["91175000", "Seizure", "finding", "seizures", "convulsions"],
  ["84757009", "Epilepsy", "disorder"],
  ["419045004", "Loss of consciousness", "finding", "LOC"],
  ["271594007", "Syncope", "finding", "presyncope", "fainting"],
  ["73211009", "Diabetes mellitus", "disorder", "diabetes"],
  ["46635009", "Type 1 diabetes mellitus", "disorder", "type 1 diabetes", "diabetes mellitus type 1"],
  [
    "44054006",
    "Type 2 diabetes mellitus",
    "disorder",
    "type 2 diabetes",
    "diabetes mellitus type 2",
    "diabetes type II",
  ],
  ["195967001", "Asthma", "disorder"],
  ["13645005", "Chronic obstructive pulmonary disease", "disorder", "COPD"],
  ["233604007", "Pneumonia", "disorder"],
  ["59282003", "Pulmonary embolism", "disorder"],
  ["128053003", "Deep vein thrombosis", "disorder", "deep venous thrombosis", "DVT"],
  ["267036007", "Dyspnoea", "finding", "dyspnea", "shortness of breath", "breathlessness"],
  ["49727002", "Cough", "finding", "coughing"],
  ["16331000", "Heartburn", "finding"],
  ["235595009", "Gastro-oesophageal reflux", "disorder", "gastroesophageal reflux", "GERD", "GORD"],
  ["40739000", "Dysphagia", "finding", "difficulty swallowing"],
  ["422587007", "Nausea", "finding"],
  ["422400008", "Vomiting", "finding"],
  ["62315008", "Diarrhoea", "finding", "diarrhea"],
  ["14760008", "Constipation", "finding"],
  ["21522001", "Abdominal pain", "finding"],
  ["22298006", "Myocardial infarction", "disorder", "heart attack"],
  ["57054005", "Acute myocardial infarction", "disorder"],
  ["53741008", "Coronary artery disease", "disorder", "coronary arteriosclerosis", "CAD"],
  ["84114007", "Heart failure", "disorder", "cardiac failure"],
  ["42343007", "Congestive heart failure", "disorder", "CHF"],
  ["49436004", "Atrial fibrillation", "disorder"],
  ["29857009", "Chest pain", "finding"],
  ["58718002", "Rheumatic fever", "disorder"],
  ["55822004", "Hyperlipidaemia", "disorder", "hyperlipidemia"],
  ["13644009", "Hypercholesterolaemia", "disorder", "hypercholesterolemia", "high cholesterol"],
  ["68566005", "Urinary tract infection", "disorder", "UTI"],
  ["91302008", "Sepsis", "disorder", "septicaemia"],
  ["3723001", "Arthritis", "disorder"],
  ["69896004", "Rheumatoid arthritis", "disorder"],
  ["396275006", "Osteoarthritis", "disorder"],
  ["125605004", "Fracture", "disorder", "fractures"],
  ["161891005", "Back pain", "finding", "backache"],
  ["25064002", "Headache", "finding", "headaches"],
  ["37796009", "Migraine", "disorder"],
  ["399153001", "Vertigo", "finding"],
  ["44077006", "Numbness", "finding"],
  ["13791008", "Weakness", "finding", "generalized weakness", "generalised weakness"],
  ["214264003", "Lethargy", "finding"],
  ["84229001", "Fatigue", "finding", "tiredness"],
  ["386661006", "Fever", "finding", "pyrexia"],
  ["267038008", "Oedema", "finding", "edema"],
  ["35489007", "Depression", "disorder", "depressive disorder"],
  ["48694002", "Anxiety", "finding"],
  ["52448006", "Dementia", "disorder"],
  ["26929004", "Alzheimer's disease", "disorder"],
  ["49049000", "Parkinson's disease", "disorder"],
  ["271737000", "Anaemia", "disorder", "anemia"],
  ["40930008", "Hypothyroidism", "disorder"],
  ["414916001", "Obesity", "disorder"],
  ["254837009", "Breast cancer", "disorder"],
  ["363358000", "Lung cancer", "disorder"],
];

/** The list a fresh server starts with. */
export const BUILT_IN_TERMS: readonly Term[] = CONCEPTS.flatMap(([id, name, category, ...others]) =>
  [name, ...others].map((surface) => ({ surface, id, name, category, seen: 1 })),
);
